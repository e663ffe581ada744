/**
 * Looks things up and manages them: training runs, checkpoints, sessions, samplers, usage, the audit log. It needs no
 * session: nothing is created, and nothing beats.
 *
 * ```ts
 * const rest = yield* RestClient.RestClient
 * yield* rest.streamUserCheckpoints().pipe(Stream.take(10), Stream.runForEach(Console.log))
 * yield* rest.publishCheckpoint("tinker://<run>/sampler_weights/final")
 * ```
 *
 * `list…` and `search…` answer one page; `stream…` asks for pages as they are needed, from any offset or cursor on.
 * Checkpoints are named by their path, `tinker://<run>/<kind>/<name>`, or by its parts. A path that is none fails with
 * `InvalidInput` before anything is sent. Where a service lacks an operation it answers 404 or 405.
 *
 * @since 0.1.0
 */
import type * as Audit from "@effect-tinker/api/Audit"
import type * as Auth from "@effect-tinker/api/Auth"
import type * as Billing from "@effect-tinker/api/Billing"
import * as Checkpoint from "@effect-tinker/api/Checkpoint"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as Pagination from "@effect-tinker/api/Pagination"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Session from "@effect-tinker/api/Session"
import * as SessionSearch from "@effect-tinker/api/SessionSearch"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as TrainingRun from "@effect-tinker/api/TrainingRun"
import * as Weights from "@effect-tinker/api/Weights"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as archives from "./internal/download/archives.ts"
import * as codec from "./internal/codec/endpoint.ts"
import * as pages from "./internal/rest/pages.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as TinkerClient from "./TinkerClient.ts"
import * as TinkerConfig from "./TinkerConfig.ts"

/**
 * A checkpoint, by its path `tinker://<run>/<kind>/<name>` or by the path's parts.
 *
 * @since 0.1.0
 * @category models
 */
export type Target = string | TinkerPath.TinkerPath

/**
 * One page of a listing: 20 training runs or sessions, 100 checkpoints by default.
 *
 * @since 0.1.0
 * @category models
 */
export interface Page {
  readonly limit?: number | undefined
  readonly offset?: number | undefined
}

/**
 * Whose things are listed; the caller's own by default.
 *
 * @since 0.1.0
 * @category models
 */
export interface Access {
  readonly access_scope?: Pagination.AccessScope | undefined
}

/**
 * How a listing is walked through. Walking on later starts at the offset of the first element that was not taken; what
 * is deleted meanwhile shifts all that comes behind it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Walk {
  /** the elements that are left out; 0 */
  readonly offset?: number | undefined
  /** elements of one request; 100 */
  readonly pageSize?: number | undefined
  /** requests at a time, where the service says how many elements there are; 1, which asks for nothing unneeded */
  readonly concurrency?: number | undefined
}

/**
 * Where a file can be fetched without a key, and until when.
 *
 * @since 0.1.0
 * @category models
 */
export interface SignedUrl {
  readonly url: string
  readonly expires: DateTime.Utc
}

/**
 * Who the credential stands for, as its token says.
 *
 * @since 0.1.0
 * @category models
 */
export interface Identity {
  readonly user_urn: string
  readonly email: string | undefined
  /** `tml:organization:<id>` */
  readonly organization_urn: string | undefined
}

/**
 * Checkpoints to delete: those that are named, or all that meet every condition which is given. Without a condition
 * nothing is selected: that is an `InvalidInput`.
 *
 * @since 0.1.0
 * @category models
 */
export type Selection =
  | { readonly targets: ReadonlyArray<Target> }
  | {
      /** of this run alone */
      readonly training_run_id?: string | undefined
      readonly checkpoint_type?: Checkpoint.CheckpointType | undefined
      /** saved before this moment */
      readonly before?: DateTime.Utc | undefined
      /** saved after this moment */
      readonly after?: DateTime.Utc | undefined
      /** saved longer ago than this */
      readonly olderThan?: Duration.DurationInput | undefined
    }

/**
 * What became of one checkpoint of a selection.
 *
 * @since 0.1.0
 * @category models
 */
export type Deletion =
  /** a dry run: it would be deleted */
  | (Found & { readonly _tag: "Selected" })
  | (Found & { readonly _tag: "Deleted" })
  | (Found & { readonly _tag: "Failed"; readonly error: TinkerError.TinkerError })

/**
 * Where a copy of a checkpoint goes: to a project, or to a slot of a session.
 *
 * @since 0.1.0
 * @category models
 */
export interface CopyOptions {
  readonly destination_project_id?: string | undefined
  readonly session_id?: string | undefined
  readonly model_seq_id?: number | undefined
  readonly ttl_seconds?: number | undefined
  /** a key of the account that owns the source */
  readonly weightsAccessToken?: Redacted.Redacted | undefined
}

interface Found {
  readonly tinker_path: string
  /** absent where it was named, and not looked up */
  readonly checkpoint: Checkpoint.Checkpoint | undefined
}

type Answered<A> = Effect.Effect<A, TinkerError.TinkerError>
type Listed<A> = Stream.Stream<A, TinkerError.TinkerError>

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly getServerCapabilities: Answered<Session.GetServerCapabilitiesResponse>

  /** By its id, or by the path of one of its checkpoints. */
  readonly getTrainingRun: (idOrPath: string, options?: Access) => Answered<TrainingRun.TrainingRun>
  readonly listTrainingRuns: (
    options?: Page & Access & { readonly project_id?: string | undefined }
  ) => Answered<TrainingRun.TrainingRunsResponse>
  readonly streamTrainingRuns: (
    options?: Walk & Access & { readonly project_id?: string | undefined }
  ) => Listed<TrainingRun.TrainingRun>

  /** All checkpoints of one run. */
  readonly listCheckpoints: (training_run_id: string) => Answered<Checkpoint.CheckpointsListResponse>
  /** The caller's checkpoints of all runs, newest first. */
  readonly listUserCheckpoints: (options?: Page) => Answered<Checkpoint.CheckpointsListResponse>
  readonly streamUserCheckpoints: (options?: Walk) => Listed<Checkpoint.Checkpoint>
  readonly searchCheckpoints: (
    request?: typeof Checkpoint.CheckpointSearchRequest.Encoded
  ) => Answered<Checkpoint.CheckpointSearchResponse>
  /** All results of a search, from its `cursor` on; `limit` is the size of a page. */
  readonly streamCheckpointSearch: (
    request?: typeof Checkpoint.CheckpointSearchRequest.Encoded
  ) => Listed<Checkpoint.Checkpoint>
  /** What the listing of its run says of a checkpoint; `NotFound` where it is not listed. */
  readonly getCheckpoint: (target: Target) => Answered<Checkpoint.Checkpoint>
  /** Makes a checkpoint readable for everyone; `Conflict` when it is. */
  readonly publishCheckpoint: (target: Target) => Answered<void>
  /** Makes a checkpoint private; `Conflict` when it is. */
  readonly unpublishCheckpoint: (target: Target) => Answered<void>
  /** The checkpoint is deleted after so many seconds from now; `null` keeps it for good. */
  readonly setCheckpointTtl: (target: Target, ttl_seconds: number | null) => Answered<void>
  readonly deleteCheckpoint: (target: Target) => Answered<void>
  /**
   * Deletes many checkpoints, and says of each what became of it as it is known. A failure to delete one does not keep
   * the others; a failure to list them fails the stream. With `dryRun` nothing is deleted.
   */
  readonly deleteCheckpoints: (
    selection: Selection,
    options?: {
      readonly dryRun?: boolean | undefined
      /** deletions at a time; 8 */
      readonly concurrency?: number | undefined
    }
  ) => Listed<Deletion>
  /**
   * Where the archive of a checkpoint's files can be fetched. While it is built the service says so, and is asked again
   * when it says, or every 30 seconds, for `atMost` (10 minutes).
   */
  readonly getCheckpointArchiveUrl: (
    target: Target,
    options?: { readonly atMost?: Duration.DurationInput | undefined }
  ) => Answered<SignedUrl>
  /** Where the files of an external checkpoint can be fetched, by name. */
  readonly getExternalWeightsUrls: (target: Target) => Answered<Weights.ExternalWeightsUrlsResponse>
  /** What one must know of a checkpoint to load it; also of published ones of others. */
  readonly getWeightsInfo: (target: Target) => Answered<Weights.WeightsInfoResponse>
  /** A copy that shares its storage with the source, and its path. */
  readonly copyWeights: (source: Target, options: CopyOptions) => Answered<string>
  /** Uploads an adapter in the format that `save_weights_external` writes, and answers its path. */
  readonly uploadExternalWeights: (
    options: typeof Weights.ExternalWeightsUploadStartRequest.Encoded & {
      /** by the name of the file */
      readonly files: { readonly [name: string]: Uint8Array }
    }
  ) => Answered<string>

  readonly getSession: (session_id: string, options?: Access) => Answered<Session.GetSessionResponse>
  /** Ids of sessions. */
  readonly listSessions: (options?: Page & Access) => Answered<Session.ListSessionsResponse>
  readonly streamSessions: (options?: Walk & Access) => Listed<string>
  readonly searchSessions: (
    request?: typeof SessionSearch.SessionSearchRequest.Encoded
  ) => Answered<SessionSearch.SessionSearchResponse>
  readonly streamSessionSearch: (
    request?: typeof SessionSearch.SessionSearchRequest.Encoded
  ) => Listed<SessionSearch.SessionSearchResponse["sessions"][number]>
  /** Ends a session for good; the first reason stays. */
  readonly finishSession: (
    session_id: string,
    reason: "success" | "errored" | "interrupted",
    detail?: string
  ) => Answered<void>
  /** Moves a session, with all that belongs to it, into a project; it cannot be moved out again. */
  readonly assignSessionProject: (session_id: string, project_id: string) => Answered<void>
  /**
   * Builds a Perfetto trace of a session, and answers where it can be fetched. Asks every five seconds, for `atMost` (30
   * minutes); fails with `RequestFailed` when the service cannot build it, or not in time.
   */
  readonly exportSessionTrace: (
    session_id: string,
    options?: {
      readonly every?: Duration.DurationInput | undefined
      readonly atMost?: Duration.DurationInput | undefined
    }
  ) => Answered<string>
  /** A sampling session: its base model, and the weights that it samples from. */
  readonly getSampler: (sampler_id: string) => Answered<Sampling.GetSamplerResponse>

  /** The audit log of a day (`YYYY-MM-DD`, UTC), today by default; needs the rights of an administrator. */
  readonly getAuditLog: (options?: {
    readonly event_type?: typeof Audit.EventType.Type | undefined
    readonly day?: string | undefined
  }) => Answered<Audit.AuditLogResponse>
  /** Usage in a window of whole UTC hours, of 14 days at most. */
  readonly getBillingUsage: (window: typeof Billing.UsageParams.Type) => Answered<Billing.UsageResponse>
  /** Usage in a window of any length, oldest first, asked for in windows of 14 days. */
  readonly streamBillingUsage: (
    window: typeof Billing.UsageParams.Type,
    options?: { readonly concurrency?: number | undefined }
  ) => Listed<Billing.UsageEvent>
  /** The storage that checkpoints take now. */
  readonly getCheckpointStorage: (options?: {
    readonly project_id?: string | undefined
  }) => Answered<Billing.StorageUsageResponse>

  /** Who the credential stands for. Nothing is sent: the token says it; a plain key does not, see `getApiKey`. */
  readonly whoami: Answered<Identity>
  /** What the service knows of the plain key. */
  readonly getApiKey: Answered<Auth.ApiKeyResponse>
  /** Deletes the plain key: nothing works with it afterwards. */
  readonly deleteApiKey: Answered<void>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class RestClient extends Context.Tag("@effect-tinker/client/RestClient")<RestClient, Service>() {}

// endpoints without a body
const nothing = undefined as never

const invalid = (method: string, path: string, reason: string) => new TinkerError.InvalidInput({ method, path, reason })

const parse = (method: string, target: Target, path = "path") =>
  Option.match(TinkerPath.parse(typeof target === "string" ? target : TinkerPath.format(target)), {
    onNone: () =>
      Effect.fail(
        invalid(
          method,
          path,
          `is ${JSON.stringify(target)}: give "tinker://<training run>/<kind>/<name>", where the kind is weights, ` +
            `sampler_weights or external_weights`
        )
      ),
    onSome: Effect.succeed
  })

const page = (method: string, { limit, offset }: Page) => {
  for (const [name, value, least] of [
    ["limit", limit, 1],
    ["offset", offset, 0]
  ] as const) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
      return Effect.fail(invalid(method, name, `is ${value}: give a whole number of ${least} or more`))
    }
  }
  return Effect.succeed({
    ...(limit === undefined ? {} : { limit }),
    ...(offset === undefined ? {} : { offset })
  })
}

const access = ({ access_scope = "owned" }: Access) => ({ access_scope })

const project = ({ project_id }: { readonly project_id?: string | undefined }) =>
  project_id === undefined ? {} : { project_id }

const readCheckpointSearch = codec.input("searchCheckpoints", "request", Checkpoint.CheckpointSearchRequest)
const readSessionSearch = codec.input("searchSessions", "request", SessionSearch.SessionSearchRequest)
const readUploadStart = codec.input("uploadExternalWeights", "options", Weights.ExternalWeightsUploadStartRequest)

const twoWeeks = Duration.toMillis("14 days")

const isSelected =
  (selection: Exclude<Selection, { readonly targets: unknown }>, now: number) =>
  ({ checkpoint_type, time }: Checkpoint.Checkpoint): boolean =>
    (selection.checkpoint_type === undefined || checkpoint_type === selection.checkpoint_type) &&
    (selection.before === undefined || time.epochMillis < selection.before.epochMillis) &&
    (selection.after === undefined || time.epochMillis > selection.after.epochMillis) &&
    (selection.olderThan === undefined || time.epochMillis < now - Duration.toMillis(selection.olderThan))

/**
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service, never, TinkerClient.TinkerClient | HttpClient.HttpClient> = Effect.gen(
  function* () {
    const client = yield* TinkerClient.TinkerClient
    const http = yield* HttpClient.HttpClient

    const operation = <A>(method: string, effect: Answered<A>): Answered<A> =>
      Effect.withSpan(effect, `RestClient.${method}`)

    const onCheckpoint = <A>(
      method: string,
      target: Target,
      send: (path: TinkerPath.TinkerPath) => Answered<A>
    ): Answered<A> => operation(method, Effect.flatMap(parse(method, target), send))

    const getTrainingRun: Service["getTrainingRun"] = (idOrPath, options = {}) => {
      const method = "getTrainingRun"
      const id = idOrPath.startsWith("tinker://")
        ? Effect.map(parse(method, idOrPath, "idOrPath"), ({ training_run_id }) => training_run_id)
        : Effect.succeed(idOrPath)
      return operation(
        method,
        Effect.flatMap(id, (training_run_id) =>
          client.call(TinkerApi.getTrainingRun, nothing, {
            method,
            path: { training_run_id },
            urlParams: access(options)
          })
        )
      )
    }

    const listTrainingRuns: Service["listTrainingRuns"] = (options = {}) => {
      const method = "listTrainingRuns"
      return operation(
        method,
        Effect.flatMap(page(method, options), (at) =>
          client.call(TinkerApi.listTrainingRuns, nothing, {
            method,
            urlParams: { ...at, ...access(options), ...project(options) }
          })
        )
      )
    }

    const listCheckpoints: Service["listCheckpoints"] = (training_run_id) => {
      const method = "listCheckpoints"
      return operation(method, client.call(TinkerApi.listCheckpoints, nothing, { method, path: { training_run_id } }))
    }

    const listUserCheckpoints: Service["listUserCheckpoints"] = (options = {}) => {
      const method = "listUserCheckpoints"
      return operation(
        method,
        Effect.flatMap(page(method, options), (urlParams) =>
          client.call(TinkerApi.listUserCheckpoints, nothing, { method, urlParams })
        )
      )
    }

    const streamUserCheckpoints: Service["streamUserCheckpoints"] = (options = {}) =>
      pages.byOffset("streamUserCheckpoints", options, (at) =>
        Effect.map(listUserCheckpoints(at), ({ checkpoints, cursor }) => ({
          items: checkpoints,
          total: cursor?.total_count
        }))
      )

    const searchCheckpoints: Service["searchCheckpoints"] = (request = {}) => {
      const method = "searchCheckpoints"
      return operation(
        method,
        Effect.flatMap(readCheckpointSearch(request), (payload) =>
          client.call(TinkerApi.searchCheckpoints, payload, { method })
        )
      )
    }

    const deleteCheckpoint: Service["deleteCheckpoint"] = (target) => {
      const method = "deleteCheckpoint"
      return onCheckpoint(method, target, (path) => client.call(TinkerApi.deleteCheckpoint, nothing, { method, path }))
    }

    const select = Effect.fnUntraced(function* (
      method: string,
      selection: Selection
    ): Effect.fn.Return<ReadonlyArray<Found>, TinkerError.TinkerError> {
      if ("targets" in selection) {
        return yield* Effect.forEach(selection.targets, (target, index) =>
          Effect.map(parse(method, target, `targets[${index}]`), (path) => ({
            tinker_path: TinkerPath.format(path),
            checkpoint: undefined
          }))
        )
      }
      const { training_run_id, ...conditions } = selection
      if (training_run_id === undefined && Object.values(conditions).every((value) => value === undefined)) {
        return yield* invalid(method, "selection", "names neither checkpoints nor a condition that they must meet")
      }
      const now = yield* Clock.currentTimeMillis
      const listed =
        training_run_id === undefined
          ? Array.from(yield* Stream.runCollect(streamUserCheckpoints()))
          : (yield* listCheckpoints(training_run_id)).checkpoints
      return listed
        .filter(isSelected(selection, now))
        .map((checkpoint) => ({ tinker_path: checkpoint.tinker_path, checkpoint }))
    })

    const deleteCheckpoints: Service["deleteCheckpoints"] = (selection, { concurrency = 8, dryRun = false } = {}) =>
      Stream.unwrap(
        Effect.map(select("deleteCheckpoints", selection), (selected) =>
          dryRun
            ? Stream.fromIterable(selected.map((found): Deletion => ({ _tag: "Selected", ...found })))
            : Stream.mapEffect(
                Stream.fromIterable(selected),
                (found): Effect.Effect<Deletion> =>
                  Effect.match(deleteCheckpoint(found.tinker_path), {
                    onFailure: (error) => ({ _tag: "Failed", ...found, error }),
                    onSuccess: () => ({ _tag: "Deleted", ...found })
                  }),
                { concurrency, unordered: true }
              )
        )
      )

    const uploadExternalWeights: Service["uploadExternalWeights"] = ({ files, ...options }) => {
      const method = "uploadExternalWeights"
      return operation(
        method,
        Effect.gen(function* () {
          const names = Object.keys(files)
          if (names.length === 0) return yield* invalid(method, "files", "is empty: give the files of an adapter")
          const request = yield* readUploadStart(options)
          const { upload_id, urls } = yield* client.call(TinkerApi.externalWeightsUploadStart, request, { method })
          const unknown = names.find((name) => !Object.hasOwn(urls, name))
          const missing = Object.keys(urls).find((name) => !Object.hasOwn(files, name))
          if (unknown !== undefined || missing !== undefined) {
            return yield* new TinkerError.InvalidInput({
              method,
              path: `files.${unknown ?? missing}`,
              reason:
                unknown === undefined
                  ? "is missing, and the service asks for it"
                  : "is not a file that the service takes"
            })
          }
          const policy = yield* RetryPolicy.CurrentRetryPolicy
          yield* Effect.forEach(
            names,
            (name) =>
              archives
                .fetch(http, method, HttpClientRequest.bodyUint8Array(HttpClientRequest.put(urls[name]!), files[name]!))
                .pipe(Effect.scoped, RetryPolicy.apply(policy)),
            { concurrency: 4, discard: true }
          )
          const finished = yield* client.call(TinkerApi.externalWeightsUploadFinish, { upload_id }, { method })
          return finished.tinker_path
        })
      )
    }

    const listSessions: Service["listSessions"] = (options = {}) => {
      const method = "listSessions"
      return operation(
        method,
        Effect.flatMap(page(method, options), (at) =>
          client.call(TinkerApi.listSessions, nothing, { method, urlParams: { ...at, ...access(options) } })
        )
      )
    }

    const searchSessions: Service["searchSessions"] = (request = {}) => {
      const method = "searchSessions"
      return operation(
        method,
        Effect.flatMap(readSessionSearch(request), (payload) =>
          client.call(TinkerApi.searchSessions, payload, { method })
        )
      )
    }

    const exportSessionTrace: Service["exportSessionTrace"] = (session_id, options = {}) => {
      const method = "exportSessionTrace"
      const failed = (reason: string, category: "server" | "unknown") =>
        new TinkerError.RequestFailed({ method, reason, category })
      const every = options.every ?? "5 seconds"
      const atMost = Duration.decode(options.atMost ?? "30 minutes")
      const ask = client.call(TinkerApi.exportSessionTrace, nothing, { method, path: { session_id } })
      const poll: Answered<string> = Effect.flatMap(ask, ({ error, status, url }) => {
        if (status === "ready") {
          return url === undefined ? failed("the trace is ready, but has no URL", "server") : Effect.succeed(url)
        }
        return status === "failed"
          ? failed(error ?? "the service gave no reason", "server")
          : Effect.zipRight(
              Effect.sleep(every),
              Effect.suspend(() => poll)
            )
      })
      return operation(
        method,
        Effect.timeoutFail(poll, {
          duration: atMost,
          onTimeout: () => failed(`the trace is still not ready after ${Duration.format(atMost)}`, "unknown")
        })
      )
    }

    const getBillingUsage: Service["getBillingUsage"] = (window) => {
      const method = "getBillingUsage"
      return operation(
        method,
        window.starting_on.epochMillis < window.ending_before.epochMillis
          ? client.call(TinkerApi.getBillingUsage, nothing, { method, urlParams: window })
          : invalid(method, "ending_before", "does not lie after starting_on")
      )
    }

    const out: Service = {
      getServerCapabilities: operation("getServerCapabilities", client.call(TinkerApi.getServerCapabilities, nothing)),
      getTrainingRun,
      listTrainingRuns,
      streamTrainingRuns: (options = {}) =>
        pages.byOffset("streamTrainingRuns", options, (at) =>
          Effect.map(listTrainingRuns({ ...at, ...access(options), ...project(options) }), (found) => ({
            items: found.training_runs,
            total: found.cursor.total_count
          }))
        ),
      listCheckpoints,
      listUserCheckpoints,
      streamUserCheckpoints,
      searchCheckpoints,
      streamCheckpointSearch: (request = {}) =>
        pages.byCursor(request.cursor ?? undefined, (cursor) =>
          Effect.map(searchCheckpoints({ ...request, cursor }), ({ checkpoints, next_cursor }) => ({
            items: checkpoints,
            next: next_cursor
          }))
        ),
      getCheckpoint: (target) => {
        const method = "getCheckpoint"
        return onCheckpoint(method, target, (path) => {
          const tinker_path = TinkerPath.format(path)
          return Effect.flatMap(listCheckpoints(path.training_run_id), ({ checkpoints }) => {
            const found = checkpoints.find((one) =>
              Option.exists(TinkerPath.parse(one.tinker_path), (its) => TinkerPath.format(its) === tinker_path)
            )
            return found === undefined
              ? new TinkerError.NotFound({ method, status: 404, detail: `there is no checkpoint ${tinker_path}` })
              : Effect.succeed(found)
          })
        })
      },
      publishCheckpoint: (target) =>
        onCheckpoint("publishCheckpoint", target, (path) =>
          client.call(TinkerApi.publishCheckpoint, nothing, { path })
        ),
      unpublishCheckpoint: (target) =>
        onCheckpoint("unpublishCheckpoint", target, (path) =>
          client.call(TinkerApi.unpublishCheckpoint, nothing, { path })
        ),
      setCheckpointTtl: (target, ttl_seconds) => {
        const method = "setCheckpointTtl"
        return onCheckpoint(method, target, (path) =>
          ttl_seconds !== null && !(Number.isSafeInteger(ttl_seconds) && ttl_seconds > 0)
            ? invalid(method, "ttl_seconds", `is ${ttl_seconds}: give a whole number above 0, or null to keep it`)
            : client.call(TinkerApi.setCheckpointTtl, { ttl_seconds }, { path })
        )
      },
      deleteCheckpoint,
      deleteCheckpoints,
      getCheckpointArchiveUrl: (target, options) =>
        onCheckpoint("getCheckpointArchiveUrl", target, (path) => archives.urlOf(client, path, options?.atMost)),
      getExternalWeightsUrls: (target) => {
        const method = "getExternalWeightsUrls"
        return onCheckpoint(method, target, (path) =>
          path.kind === "external_weights"
            ? client.call(TinkerApi.getExternalWeightsUrls, nothing, { path })
            : invalid(method, "path", `is of the kind ${path.kind}: external_weights alone have such URLs`)
        )
      },
      getWeightsInfo: (target) => {
        const method = "getWeightsInfo"
        return onCheckpoint(method, target, (path) =>
          client.call(TinkerApi.weightsInfo, { tinker_path: TinkerPath.format(path) }, { method })
        )
      },
      copyWeights: (source, { weightsAccessToken, ...options }) => {
        const method = "copyWeights"
        return onCheckpoint(method, source, (path) => {
          const inSession = options.session_id !== undefined && options.model_seq_id !== undefined
          if (inSession === (options.destination_project_id !== undefined)) {
            return invalid(method, "options", "must give destination_project_id, or session_id and model_seq_id")
          }
          return Effect.map(
            client.call(
              TinkerApi.copyWeights,
              { ...options, source_path: TinkerPath.format(path) },
              {
                method,
                ...(weightsAccessToken === undefined
                  ? {}
                  : { headers: { "x-tinker-weights-access-token": Redacted.value(weightsAccessToken) } })
              }
            ),
            ({ tinker_path }) => tinker_path
          )
        })
      },
      uploadExternalWeights,
      getSession: (session_id, options = {}) => {
        const method = "getSession"
        return operation(
          method,
          client.call(TinkerApi.getSession, nothing, { path: { session_id }, urlParams: access(options) })
        )
      },
      listSessions,
      streamSessions: (options = {}) =>
        pages.byOffset("streamSessions", options, (at) =>
          Effect.map(listSessions({ ...at, ...access(options) }), ({ sessions }) => ({
            items: sessions,
            total: undefined
          }))
        ),
      searchSessions,
      streamSessionSearch: (request = {}) =>
        pages.byCursor(request.cursor ?? undefined, (cursor) =>
          Effect.map(searchSessions({ ...request, cursor }), ({ next_cursor, sessions }) => ({
            items: sessions,
            next: next_cursor
          }))
        ),
      finishSession: (session_id, type, detail) =>
        operation(
          "finishSession",
          client.call(TinkerApi.finishSession, { reason: { type }, detail: detail ?? null }, { path: { session_id } })
        ),
      assignSessionProject: (session_id, project_id) =>
        operation(
          "assignSessionProject",
          project_id.trim() === ""
            ? invalid("assignSessionProject", "project_id", "is empty")
            : client.call(TinkerApi.assignSessionProject, { project_id }, { path: { session_id } })
        ),
      exportSessionTrace,
      getSampler: (sampler_id) =>
        operation("getSampler", client.call(TinkerApi.getSampler, nothing, { path: { sampler_id } })),
      getAuditLog: ({ day, event_type = "all" } = {}) =>
        operation(
          "getAuditLog",
          client.call(TinkerApi.getAuditLog, nothing, {
            urlParams: { event_type, ...(day === undefined ? {} : { day }) }
          })
        ),
      getBillingUsage,
      streamBillingUsage: ({ ending_before, starting_on }, { concurrency = 1 } = {}) => {
        const starts = Array.from(
          { length: Math.max(1, Math.ceil((ending_before.epochMillis - starting_on.epochMillis) / twoWeeks)) },
          (_, index) => starting_on.epochMillis + index * twoWeeks
        )
        return Stream.fromIterable(starts).pipe(
          Stream.mapEffect(
            (start) =>
              getBillingUsage({
                starting_on: DateTime.unsafeMake(start),
                ending_before: DateTime.unsafeMake(Math.min(start + twoWeeks, ending_before.epochMillis))
              }),
            { concurrency }
          ),
          Stream.flatMap(({ data }) => Stream.fromIterable(data))
        )
      },
      getCheckpointStorage: (options = {}) =>
        operation(
          "getCheckpointStorage",
          client.call(TinkerApi.getCheckpointStorage, nothing, { urlParams: project(options) })
        ),
      whoami: Effect.flatMap(client.claims, (claims): Answered<Identity> => {
        const method = "whoami"
        if (claims === undefined) {
          return invalid(method, "apiKey", "is a plain key, which does not say who it stands for: see getApiKey")
        }
        const { email, org_id, sub } = claims
        return sub === undefined
          ? new TinkerError.DecodeError({ method, reason: "the token has no claim `sub`" })
          : Effect.succeed({
              user_urn: sub,
              email: email === "" ? undefined : email,
              organization_urn: org_id === undefined ? undefined : `tml:organization:${org_id}`
            })
      }),
      getApiKey: operation("getApiKey", client.call(TinkerApi.getApiKey, nothing)),
      deleteApiKey: operation("deleteApiKey", client.call(TinkerApi.deleteApiKey, nothing))
    }
    return out
  }
)

/**
 * Over a transport of the caller's.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoDeps: Layer.Layer<RestClient, never, TinkerClient.TinkerClient | HttpClient.HttpClient> =
  Layer.effect(RestClient, make)

const over = (
  config: Layer.Layer<TinkerConfig.TinkerConfig, TinkerError.InvalidInput>
): Layer.Layer<RestClient, TinkerError.TinkerError, HttpClient.HttpClient> =>
  layerNoDeps.pipe(Layer.provide(TinkerClient.layer), Layer.provide(config))

/**
 * The service that the options name.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: TinkerConfig.Options
): Layer.Layer<RestClient, TinkerError.TinkerError, HttpClient.HttpClient> => over(TinkerConfig.layer(options))

/**
 * The service that the environment names: `TINKER_API_KEY`, `TINKER_BASE_URL`, ...
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: TinkerConfig.Options = {}
): Layer.Layer<RestClient, TinkerError.TinkerError, HttpClient.HttpClient> => over(TinkerConfig.layerConfig(options))
