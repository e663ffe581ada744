/** How operations run and end: their results, encoded on demand, and their failures with a category. */
import type * as Future from "@effect-tinker/api/Future"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import type * as Engine from "../../Engine.ts"
import * as spans from "../effect/spans.ts"

/** How an operation ended. @internal */
export type Outcome = Done | Failed

/** The format of a result's body. @internal */
export type Format = "json" | "protobuf"

/** @internal */
export interface EncodedResult {
  readonly format: Format
  readonly bytes: Uint8Array
}

/** @internal */
export interface Done {
  readonly _tag: "Done"
  /** roughly the memory that the result takes */
  readonly bytes: number
  /** The result in the requested format, or as JSON if it has no other; throws if it cannot be encoded. */
  readonly encode: (requested: Format) => EncodedResult
}

/** @internal */
export interface Failed {
  readonly _tag: "Failed"
  readonly error: string
  readonly category: Future.Category
}

/** @internal */
export const failed = (error: string, category: Future.Category): Failed => ({ _tag: "Failed", error, category })

const smallResult = 1024

/** A result that is encoded on first use. The last encoding is cached. @internal */
export const done = (encoders: {
  readonly json: () => unknown
  readonly bytes?: number | undefined
  readonly protobuf?: () => Either.Either<Uint8Array, Error>
}): Done => {
  let last: EncodedResult | undefined
  return {
    _tag: "Done",
    bytes: encoders.bytes ?? smallResult,
    encode: (requested) => {
      const format = encoders.protobuf === undefined ? "json" : requested
      if (last?.format !== format) {
        const bytes =
          format === "json"
            ? new TextEncoder().encode(JSON.stringify(encoders.json()))
            : Either.getOrThrowWith(encoders.protobuf!(), (error) => error)
        last = { format, bytes }
      }
      return last
    }
  }
}

/** What an operation may fail with while it runs. @internal */
export type Failure =
  | Engine.EngineError
  | CheckpointStore.CheckpointExists
  | CheckpointStore.CheckpointNotFound
  | CheckpointStore.CheckpointStoreError
  | CheckpointStore.QuotaExceeded

/** @internal */
export const categoryOf = (error: Failure): Future.Category =>
  error._tag === "EngineError" ? error.category : error._tag === "CheckpointStoreError" ? "server" : "user"

/** The span in which an operation was submitted, if there is one. @internal */
export type ParentSpan = Option.Option<Tracer.AnySpan>

/** @internal */
export const currentParentSpan: Effect.Effect<ParentSpan> = Effect.serviceOption(Tracer.ParentSpan)

/** As the client names them. */
const spanAttributes = (attributes: { readonly [name: string]: unknown }): { readonly [name: string]: unknown } =>
  Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`tinker.${name}`, value]))

/**
 * Runs an operation in a child of the span in which it was submitted, and turns its failures into outcomes.
 *
 * @internal
 */
export const runOperation = (
  name: string,
  parent: ParentSpan,
  attributes: { readonly [name: string]: unknown },
  work: Effect.Effect<Outcome, Failure>
): Effect.Effect<Outcome> =>
  spans
    .under(
      `tinker.server.${name}`,
      {
        attributes: spanAttributes(attributes),
        ...(Option.isSome(parent) ? { parent: parent.value } : { root: true })
      },
      work
    )
    .pipe(
      Effect.catchAll((error) =>
        Effect.as(
          Effect.annotateLogs(Effect.logDebug(`${name} failed: ${error.message}`), attributes),
          failed(error.message, categoryOf(error))
        )
      )
    )

/**
 * Completes an operation however its work ends: interruptions and defects become failed outcomes too.
 *
 * @internal
 */
export const settle = (
  work: Effect.Effect<Outcome>,
  complete: (outcome: Outcome) => Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.matchCauseEffect(Effect.interruptible(work), {
    onSuccess: complete,
    onFailure: (cause) =>
      Cause.isInterrupted(cause)
        ? Effect.flatMap(
            complete(failed("the operation was interrupted: its session or the service ended", "server")),
            () => Effect.failCause(cause)
          )
        : Effect.flatMap(Effect.logError("an operation died", cause), () =>
            complete(failed("an internal error, which the service has logged", "server"))
          )
  }).pipe(Effect.uninterruptible)
