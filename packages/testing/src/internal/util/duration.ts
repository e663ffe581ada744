/** An alias for Effect's input type of durations, which Effect 4 renames. The rest of the package uses the alias. */
import * as Duration from "effect/Duration"

/** @internal */
export type DurationInput = Duration.DurationInput

/** @internal */
export const toDuration = (input: DurationInput): Duration.Duration => Duration.decode(input)
