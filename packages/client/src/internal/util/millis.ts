/** Durations in milliseconds. */
import * as Duration from "effect/Duration"

// literals of the program, which each request would parse again
const known = new Map<string, number>()

/** A duration in milliseconds. @internal */
export const millis = (duration: Duration.DurationInput): number => {
  if (typeof duration !== "string") return Duration.toMillis(duration)
  let value = known.get(duration)
  if (value === undefined) {
    value = Duration.toMillis(duration)
    if (known.size < 1000) known.set(duration, value)
  }
  return value
}
