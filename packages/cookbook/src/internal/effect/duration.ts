/** The type of a duration that a program gives: Effect 4 names it otherwise. */
import type * as Duration from "effect/Duration"

/** @internal */
export type DurationInput = Duration.DurationInput
