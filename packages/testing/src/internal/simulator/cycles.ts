/** Makes models work in cycles, as on the hosted service. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** The last cycle in which a model worked. */
interface LastCycle {
  /** milliseconds since the simulator was made */
  readonly end: number
  /** whether the optimizer step of that cycle is done */
  readonly stepped: boolean
}

const isTraining = (name: string): boolean => name === "optimStep" || name === "forward" || name === "forwardBackward"

/** @internal */
export class Cycles {
  private readonly start: number
  private readonly length: number
  private readonly lastByModel = new Map<number, LastCycle>()

  /** `start` and `length` in milliseconds; without a length, work takes no time. */
  constructor(start: number, length: number) {
    this.start = start
    this.length = length
  }

  /**
   * Waits until the cycle of an operation ends. The forward passes of a model share a cycle with the optimizer step behind
   * them; what comes after the step belongs to the next cycle.
   */
  await({ name, target }: { readonly name: string; readonly target: number }): Effect.Effect<void> {
    const { lastByModel, length, start } = this
    if (length === 0 || !isTraining(name)) return Effect.void
    return Effect.gen(function* () {
      const now = (yield* Clock.currentTimeMillis) - start
      const last = lastByModel.get(target)
      if (last === undefined || last.end !== now || last.stepped) {
        const untilNext = now % length === 0 ? 0 : length - (now % length)
        yield* Effect.sleep(untilNext + length)
      }
      lastByModel.set(target, { end: (yield* Clock.currentTimeMillis) - start, stepped: name === "optimStep" })
    })
  }
}
