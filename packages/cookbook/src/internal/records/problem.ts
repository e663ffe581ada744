/** What is wrong with a record, before it is known which file it is from. */
import * as Either from "effect/Either"
import type { Issue } from "../effect/parseError.ts"

/** A record of type `A`, or why there is none. @internal */
export type Decoded<A> = Either.Either<A, Issue>

/** @internal */
export const problem = <A = never>(field: string | undefined, reason: string): Decoded<A> =>
  Either.left(field === undefined ? { reason } : { field, reason })

const join = (outer: string, inner: string | undefined): string =>
  inner === undefined ? outer : outer === "" ? inner : `${outer}.${inner}`

/** Places the fields of a problem below another field. @internal */
export const below = <A>(field: string, decoded: Decoded<A>): Decoded<A> =>
  Either.mapLeft(decoded, (found) => ({ ...found, field: join(field, found.field) }))
