import type * as Session from "@effect-tinker/api/Session"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import type * as Engine from "../../Engine.ts"
import * as futures from "./futures.ts"
import type * as auditLog from "../records/auditLog.ts"
import type * as usageLog from "../records/usageLog.ts"
import * as responses from "../util/responses.ts"

/** @internal */
export interface Settings {
  readonly longPoll: Duration.Duration
  readonly gapTimeout: Duration.Duration
  readonly sessionTimeout: Duration.Duration
  readonly resultRetention: Duration.Duration
  readonly samplerIdle: Duration.Duration
  readonly sampleConcurrency: number
  readonly inlineLimit: number
  readonly maxPending: number
  readonly clientConfig: Session.ClientConfigResponse
}

/** What all parts of the service share. @internal */
export interface Environment {
  readonly engine: Engine.Service
  readonly store: CheckpointStore.Service
  readonly futures: futures.Futures
  readonly usageLog: usageLog.UsageLog
  readonly auditLog: auditLog.AuditLog
  readonly settings: Settings
  /** the service's own */
  readonly scope: Scope.Scope
}

/** What an operation may fail with while it runs. @internal */
export type Failure =
  | Engine.EngineError
  | CheckpointStore.CheckpointExists
  | CheckpointStore.CheckpointNotFound
  | CheckpointStore.CheckpointStoreError

/** @internal */
export const categoryOf = (error: Failure) =>
  error._tag === "EngineError" ? error.category : error._tag === "CheckpointStoreError" ? "server" : "user"

/** Where in a trace an operation was submitted. @internal */
export type Parent = Option.Option<Tracer.AnySpan>

/** @internal */
export const currentParent: Effect.Effect<Parent> = Effect.serviceOption(Tracer.ParentSpan)

/**
 * The work of an operation, with its failures as outcomes, as a child of the span in which it was submitted.
 *
 * @internal
 */
export const toOutcome = (
  name: string,
  parent: Parent,
  attributes: { readonly [name: string]: unknown },
  work: Effect.Effect<futures.Outcome, Failure>
): Effect.Effect<futures.Outcome> =>
  work.pipe(
    Effect.withSpan(`tinker.server.${name}`, {
      attributes,
      ...(Option.isSome(parent) ? { parent: parent.value } : { root: true })
    }),
    Effect.catchAll((error) =>
      Effect.as(
        Effect.annotateLogs(Effect.logDebug(`${name} failed: ${error.message}`), attributes),
        futures.failed(error.message, categoryOf(error))
      )
    )
  )

/** Why nothing more is taken for now. @internal */
export const overload = (
  environment: Environment,
  load: futures.SessionLoad
): responses.OperationRejection | undefined => {
  const { maxPending } = environment.settings
  return load.pending < maxPending
    ? undefined
    : responses.tooMany(`${load.pending} operations wait or run, and no more than ${maxPending} may: wait for results`)
}

/** @internal */
export const findBaseModel = (engine: Engine.Service, name: string): Engine.BaseModel | undefined =>
  engine.models.find((model) => model.model_name === name)

/** @internal */
export const onOffer = (engine: Engine.Service): string =>
  engine.models.map((model) => model.model_name).join(", ") || "none"
