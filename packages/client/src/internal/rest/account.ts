/** Reads what belongs to an account: its identity, its key, its audit log, its usage and its storage. */
import type * as Audit from "@effect-tinker/api/Audit"
import type * as Auth from "@effect-tinker/api/Auth"
import type * as Billing from "@effect-tinker/api/Billing"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as Session from "@effect-tinker/api/Session"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as TinkerClient from "../../TinkerClient.ts"
import * as inputs from "./inputs.ts"
import { listOperation, operation, streamOperation } from "./operation.ts"
import type * as options from "./options.ts"

/**
 * What belongs to an account.
 *
 * @since 0.1.0
 * @category models
 */
export interface Account {
  readonly getServerCapabilities: options.RestEffect<Session.GetServerCapabilitiesResponse>
  /** The audit log of a day (`YYYY-MM-DD`, UTC), today by default. Requires the rights of an administrator. */
  readonly getAuditLog: (options?: {
    readonly event_type?: typeof Audit.EventType.Type | undefined
    readonly day?: string | undefined
  }) => options.RestEffect<Audit.AuditLogResponse>
  /** Usage in a window of whole UTC hours, at most 14 days long. */
  readonly getBillingUsage: (window: typeof Billing.UsageParams.Type) => options.RestEffect<Billing.UsageResponse>
  /** Usage in a window of any length, oldest first. It is requested in windows of 14 days. */
  readonly streamBillingUsage: (
    window: typeof Billing.UsageParams.Type,
    options?: { readonly concurrency?: number | undefined }
  ) => options.RestStream<Billing.UsageEvent>
  /** The storage that checkpoints use now. */
  readonly getCheckpointStorage: (options?: options.Project) => options.RestEffect<Billing.StorageUsageResponse>
  /** The user that the credential belongs to, read from its token without a request. Plain keys: see `getApiKey`. */
  readonly whoami: options.RestEffect<options.Identity>
  /** What the service knows about the plain key. */
  readonly getApiKey: options.RestEffect<Auth.ApiKeyResponse>
  /** Deletes the plain key. All requests with it fail from then on. */
  readonly deleteApiKey: options.RestEffect<void>
}

const windowMillis = Duration.toMillis("14 days")

const getAuditLog =
  (client: TinkerClient.Service): Account["getAuditLog"] =>
  ({ day, event_type = "all" } = {}) =>
    listOperation(
      "getAuditLog",
      client.call(TinkerApi.getAuditLog, inputs.noPayload, {
        urlParams: { event_type, ...(day === undefined ? {} : { day }) }
      })
    )

const getBillingUsage =
  (client: TinkerClient.Service): Account["getBillingUsage"] =>
  (window) => {
    const method = "getBillingUsage"
    return listOperation(
      method,
      DateTime.lessThan(window.starting_on, window.ending_before)
        ? client.call(TinkerApi.getBillingUsage, inputs.noPayload, { method, urlParams: window })
        : inputs.invalidInput(method, "ending_before", "must be after starting_on")
    )
  }

const streamBillingUsage =
  (getUsage: Account["getBillingUsage"]): Account["streamBillingUsage"] =>
  ({ ending_before, starting_on }, { concurrency = 1 } = {}) => {
    const [from, end] = [DateTime.toEpochMillis(starting_on), DateTime.toEpochMillis(ending_before)]
    // an empty window is requested as well, so that it fails like that of getBillingUsage
    const count = Math.max(1, Math.ceil((end - from) / windowMillis))
    const windows = Array.from({ length: count }, (_, index) => from + index * windowMillis)
    const requested = Stream.fromIterable(windows).pipe(
      Stream.mapEffect(
        (start) =>
          getUsage({
            starting_on: DateTime.unsafeMake(start),
            ending_before: DateTime.unsafeMake(Math.min(start + windowMillis, end))
          }),
        { concurrency }
      ),
      Stream.flatMap(({ data }) => Stream.fromIterable(data))
    )
    return streamOperation("streamBillingUsage", () => requested)
  }

const getCheckpointStorage =
  (client: TinkerClient.Service): Account["getCheckpointStorage"] =>
  (options = {}) =>
    listOperation(
      "getCheckpointStorage",
      client.call(TinkerApi.getCheckpointStorage, inputs.noPayload, { urlParams: inputs.projectParams(options) })
    )

/** Reads the identity from the claims of a token. */
const identityOf = (claims: Auth.Claims | undefined): options.RestEffect<options.Identity> => {
  const method = "whoami"
  if (claims === undefined) {
    return inputs.invalidInput(method, "apiKey", "is a plain key, which carries no identity: see getApiKey")
  }
  const { email, org_id, sub } = claims
  return sub === undefined
    ? new TinkerError.DecodeError({ method, reason: "the token has no claim `sub`" })
    : Effect.succeed({
        user_urn: sub,
        email: email === "" ? undefined : email,
        organization_urn: org_id === undefined ? undefined : `tml:organization:${org_id}`
      })
}

/** @internal */
export const make = (client: TinkerClient.Service): Account => {
  const getUsage = getBillingUsage(client)
  return {
    getServerCapabilities: listOperation(
      "getServerCapabilities",
      client.call(TinkerApi.getServerCapabilities, inputs.noPayload)
    ),
    getAuditLog: getAuditLog(client),
    getBillingUsage: getUsage,
    streamBillingUsage: streamBillingUsage(getUsage),
    getCheckpointStorage: getCheckpointStorage(client),
    whoami: operation("whoami", Effect.flatMap(client.claims, identityOf)),
    getApiKey: operation("getApiKey", client.call(TinkerApi.getApiKey, inputs.noPayload)),
    deleteApiKey: operation("deleteApiKey", client.call(TinkerApi.deleteApiKey, inputs.noPayload))
  }
}
