/** Runs a program in virtual time: whenever all of its fibers wait, the clock moves to the next timer. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import { PCGRandom } from "effect/Utils"
import { forkOnScheduler, makeFiberTracker, type RootFiber } from "../effect/runtime.ts"
import { maxTurns, TurnScheduler } from "./turnScheduler.ts"
import { VirtualClock } from "./virtualClock.ts"

/** @internal */
export interface SimulationOptions {
  readonly seed: number
  readonly shuffled: boolean
  /** the program is interrupted when this much virtual time has passed */
  readonly limitMillis: number
}

/** @internal */
export type Ending = "done" | "stuck" | "late" | "spinning"

// virtual time that an interrupted program gets for its finalizers
const graceMillis = 3_600_000

/** @internal */
export const simulate = <A, E, R>(effect: Effect.Effect<A, E, R>, options: SimulationOptions) =>
  Effect.suspend(() => {
    const { limitMillis, seed, shuffled } = options
    const scheduler = new TurnScheduler(shuffled ? new PCGRandom(seed) : undefined)
    const clock = new VirtualClock()
    const fibers = makeFiberTracker()
    const program = effect.pipe(
      Effect.withRandom(Random.make(`simulation ${seed}`)),
      Effect.withClock(clock),
      fibers.track
    )
    return Effect.map(forkOnScheduler(program, scheduler), (root) => {
      const ended = runToEnd(root, scheduler, clock, limitMillis)
      return {
        exit: root.poll() ?? Exit.die(new Error(`the program is ${ended}, and does not respond to interruption`)),
        millis: clock.now,
        ended,
        left: { fibers: fibers.live(), timers: clock.timers.size }
      }
    })
  })

/** Drives the program until it ends, or cannot be interrupted. */
const runToEnd = (
  root: RootFiber<unknown, unknown>,
  scheduler: TurnScheduler,
  clock: VirtualClock,
  limitMillis: number
): Ending => {
  let ended: Ending = "done"
  let hasProgress = scheduler.drain()
  // how many timers woke without moving the time
  let wakes = 0
  while (hasProgress && root.poll() === null) {
    const timer = clock.next
    if (ended === "done" && (timer === undefined || timer.at > limitMillis)) {
      ended = timer === undefined ? "stuck" : "late"
      root.interrupt()
    } else if (timer === undefined || timer.at > limitMillis + graceMillis) {
      break
    } else {
      wakes = timer.at > clock.now ? 0 : wakes + 1
      clock.advanceTo(timer)
    }
    hasProgress = scheduler.drain() && wakes < maxTurns
  }
  return hasProgress ? ended : "spinning"
}
