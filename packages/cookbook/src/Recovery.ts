/**
 * Restarts a run that failed. A run that resumes from its directory goes on from its last checkpoint, so a supervisor only
 * has to run it again, with everything that it is made of: a new session, and a new model.
 *
 * ```ts
 * const run = Supervised.run({ …, checkpoints: { rolling: { every: 5 } }, directory: { path, resume: true } }).pipe(
 *   Effect.scoped,
 *   Effect.provide(ServiceClient.layerConfig())
 * )
 * const result = yield* Recovery.supervise(run, { progress: RunDirectory.progress(path) })
 * ```
 *
 * @since 0.1.0
 */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"

/**
 * Why a run was restarted: the service has lost the model (`ModelLost`) or the session (`SessionLost`), it cannot be
 * reached or fails (`ServiceDead`), no operation ends (`NoProgress`), or the client cannot go on (`ClientBroken`).
 *
 * @since 0.1.0
 * @category models
 */
export type Reason = "ModelLost" | "SessionLost" | "ServiceDead" | "NoProgress" | "ClientBroken"

/**
 * The run failed again and again without progress, for a reason that a restart can cure. `cause` is the last failure.
 *
 * @since 0.1.0
 * @category errors
 */
export class GaveUp extends Schema.TaggedError<GaveUp>("@effect-tinker/cookbook/Recovery/GaveUp")("GaveUp", {
  reason: Schema.Literal("ModelLost", "SessionLost", "ServiceDead", "NoProgress", "ClientBroken"),
  /** how often the run was started in all */
  attempts: Schema.Int,
  cause: Schema.Defect
}) {
  override get message(): string {
    const last = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `the run was started ${this.attempts} times, and made no progress at last (${this.reason}): ${last}`
  }
}

const reasons: { readonly [tag: string]: Reason } = {
  ModelLost: "ModelLost",
  SessionLost: "SessionLost",
  TransportError: "ServiceDead",
  ServerError: "ServiceDead",
  RateLimited: "ServiceDead",
  NoProgress: "NoProgress",
  ClientBroken: "ClientBroken",
  ClientClosed: "ClientBroken",
  FutureExpired: "ClientBroken",
  RequestFailed: "ServiceDead"
}

/**
 * Why a restart may cure an error; none for what fails again, such as data that the service rejects, a wrong key, or a
 * full disk.
 *
 * @since 0.1.0
 * @category getters
 */
export const reasonOf = (error: unknown): Option.Option<Reason> => {
  if (!TinkerError.isTinkerError(error)) return Option.none()
  // a step that is refused is so because of another operation, which may be the user's fault
  if (error._tag === "StepRefused" || error._tag === "PartialGradient") return reasonOf(error.cause)
  if (error._tag === "RequestFailed" && error.category === "user") return Option.none()
  return Option.fromNullable(reasons[error._tag])
}

/**
 * Pauses of 1, 2, 4, … seconds, of 5 minutes at most, and 10 restarts without progress.
 *
 * @since 0.1.0
 * @category schedules
 */
export const defaultSchedule: Schedule.Schedule<unknown> = Schedule.exponential("1 second").pipe(
  Schedule.union(Schedule.spaced("5 minutes")),
  Schedule.intersect(Schedule.recurs(10))
)

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<E, R> {
  /** when to restart; it begins anew when the run has made progress. `defaultSchedule` by default */
  readonly schedule?: Schedule.Schedule<unknown, unknown, R> | undefined
  /** how far the run is, such as `RunDirectory.progress`; without it, no failure counts as progress */
  readonly progress?: Effect.Effect<number, E, R> | undefined
}

/**
 * Runs an effect, and runs it again when it fails with an error that a restart can cure. Any other failure ends it. It
 * fails with `GaveUp` when the schedule is exhausted without progress.
 *
 * @since 0.1.0
 * @category running
 */
export const supervise = <A, E, R, E2 = never, R2 = never>(
  run: Effect.Effect<A, E, R>,
  options: Options<E2, R2> = {}
): Effect.Effect<A, E | E2 | GaveUp, R | R2> =>
  Effect.gen(function* () {
    const progress = options.progress ?? Effect.succeed(0)
    const driver = yield* Schedule.driver(options.schedule ?? defaultSchedule)
    let reached = yield* progress
    for (let attempts = 1; ; attempts++) {
      const exit = yield* Effect.exit(run)
      if (Exit.isSuccess(exit)) return exit.value
      const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
      const reason = Option.getOrUndefined(reasonOf(error))
      if (reason === undefined) return yield* Effect.failCause(exit.cause)
      const now = yield* progress
      if (now > reached) yield* driver.reset
      reached = Math.max(now, reached)
      yield* Effect.logWarning(`the run failed (${reason}) and is restarted: ${(error as Error).message}`)
      yield* Effect.mapError(driver.next(error), () => new GaveUp({ reason, attempts, cause: error }))
    }
  })
