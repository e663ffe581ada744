/** What Effect accepts as a duration: the one place of this package that names Effect's type. */
import type * as Duration from "effect/Duration"

/** @internal */
export type DurationInput = Duration.DurationInput
