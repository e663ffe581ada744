/** Reads results that must be on the right. */
import * as Either from "effect/Either"

/** The right of an either; throws its left. */
export const ok = <A, E>(either: Either.Either<A, E>): A => Either.getOrThrowWith(either, (error) => error)
