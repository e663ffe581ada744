/** Finishes a session when its scope closes. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as TinkerClient from "../../TinkerClient.ts"
import { singleAttempt } from "./policies.ts"

const limit = Duration.seconds(5)

/** Runs an effect for at most the limit, although the scope is closing. Failures are ignored. */
const withinLimit = (effect: Effect.Effect<unknown, TinkerError.TinkerError>): Effect.Effect<void> =>
  effect.pipe(Effect.interruptible, Effect.timeoutOption(limit), Effect.ignore)

/** What the end of a session needs to know of it. */
interface Closing {
  readonly sessionId: string
  /** the models that were created in it */
  readonly models: ReadonlySet<string>
  readonly lost: Deferred.Deferred<never, TinkerError.SessionLost>
}

const policy = { ...singleAttempt, timeout: limit }

/** Whether the service has no way to finish a session. */
const cannotFinish = (error: TinkerError.TinkerError): boolean =>
  error._tag === "NotFound" || (error._tag === "BadRequest" && error.status === 405)

/** Frees the memory of models that the service would otherwise keep until it misses the heartbeats. */
const unloadModels = (
  client: TinkerClient.Service,
  models: ReadonlySet<string>
): Effect.Effect<void, TinkerError.TinkerError> =>
  Effect.forEach(
    models,
    (model_id) => Effect.ignore(client.call(TinkerApi.unloadModel, { model_id, type: "unload_model" }, { policy })),
    { concurrency: "unbounded", discard: true }
  )

/** Reports to the service how the session ended, and sends the remaining telemetry. @internal */
export const close = (
  client: TinkerClient.Service,
  { lost, models, sessionId: session_id }: Closing,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { telemetry } = client
    const type = Exit.isSuccess(exit) ? "success" : Exit.isInterrupted(exit) ? "interrupted" : "errored"
    if (Exit.isFailure(exit) && type === "errored") yield* telemetry.failure(exit.cause)
    yield* telemetry.endSession
    const finish = Effect.flatMap(Deferred.isDone(lost), (isLost) =>
      isLost
        ? Effect.void
        : Effect.catchIf(
            client.call(TinkerApi.finishSession, { reason: { type }, detail: null }, { path: { session_id }, policy }),
            cannotFinish,
            () => unloadModels(client, models)
          )
    )
    yield* Effect.all([withinLimit(finish), withinLimit(telemetry.flush)], {
      concurrency: "unbounded",
      discard: true
    })
  })
