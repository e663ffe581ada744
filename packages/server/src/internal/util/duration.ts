/** What Effect accepts as a duration: the one place of this package that names Effect's type. */
import * as Duration from "effect/Duration"

/** @internal */
export type DurationInput = Duration.DurationInput

/** @internal */
export const toDuration = (input: DurationInput): Duration.Duration => Duration.decode(input)
