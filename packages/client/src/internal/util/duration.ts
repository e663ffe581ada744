/** The input form of durations, and durations in milliseconds. */
import * as Duration from "effect/Duration"

/** @internal */
export type DurationInput = Duration.DurationInput

// literals of the program, which each request would parse again
const known = new Map<string, number>()
const maxKnown = 1000

/** A duration in milliseconds. @internal */
export const millis = (duration: DurationInput): number => {
  if (typeof duration !== "string") return Duration.toMillis(duration)
  let value = known.get(duration)
  if (value === undefined) {
    value = Duration.toMillis(duration)
    if (known.size < maxKnown) known.set(duration, value)
  }
  return value
}
