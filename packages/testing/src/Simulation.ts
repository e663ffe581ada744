/**
 * Runs a program in virtual time: without waiting in real time, with the same outcome for the same seed. The report
 * lists the fibers and timers that outlived the program. Nothing needs to adjust the clock: whenever all fibers wait,
 * the time moves to the next timer.
 *
 * ```ts
 * const report = yield* Simulation.run(program, { seed: 7 })
 * report.exit // how the program ended
 * report.millis // how much virtual time passed
 * report.left // fibers and timers that outlived it
 * ```
 *
 * Between its slices of 50 ms, the event loop runs, so that the timeout of a test works.
 *
 * A program may wait for fibers and for the clock only. It must not wait for a socket or a file: they need real time,
 * which does not pass here.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { makeFiberTracker } from "./internal/effect/runtime.ts"
import { simulate } from "./internal/simulation/simulate.ts"
import type { DurationInput } from "./internal/util/duration.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** the seed of `Random` and of the order in which fibers take turns; 0 */
  readonly seed?: number | undefined
  /**
   * `"fair"`: fibers run in the order in which they became ready, as they do without a simulation. `"shuffled"`: the seed
   * decides the order, which finds race conditions. Default: `"fair"`.
   */
  readonly turns?: "fair" | "shuffled" | undefined
  /** the program is interrupted when this much virtual time has passed; 24 hours */
  readonly limit?: DurationInput | undefined
  /** the program is interrupted when it has run for this much real time; 1 minute */
  readonly realLimit?: DurationInput | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Report<A, E> {
  readonly exit: Exit.Exit<A, E>
  /** the virtual time that passed */
  readonly millis: number
  /**
   * `"stuck"`: all fibers waited and there was no timer; `"late"`: the limit passed; `"slow"`: that of real time. In these
   * cases the program was interrupted, and a defect in `exit` names the fibers that waited. `"spinning"`: fibers ran without end while the time did not move; the program was abandoned.
   */
  readonly ended: "done" | "stuck" | "late" | "slow" | "spinning"
  /** the fibers that waited when the program was interrupted: their numbers and spans */
  readonly waiting: ReadonlyArray<string>
  /** what outlived the program */
  readonly left: {
    /** the number of each fiber, and the span in which it was forked */
    readonly fibers: ReadonlyArray<string>
    readonly timers: number
  }
}

/**
 * Runs an effect that can list the fibers that it forked, directly and indirectly, and that have not ended.
 *
 * @since 0.1.0
 * @category running
 */
export const counting = <A, E, R>(
  effect: (left: Effect.Effect<ReadonlyArray<string>>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const fibers = makeFiberTracker()
    return fibers.track(effect(Effect.sync(fibers.live)))
  })

/**
 * Runs a program to its end, in virtual time. It never fails: the report has the program's exit.
 *
 * @since 0.1.0
 * @category running
 */
export const run = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: Options = {}
): Effect.Effect<Report<A, E>, never, R> =>
  simulate(effect, {
    seed: options.seed ?? 0,
    shuffled: options.turns === "shuffled",
    limitMillis: Duration.toMillis(options.limit ?? "24 hours"),
    realLimitMillis: Duration.toMillis(options.realLimit ?? "1 minute")
  })
