/**
 * Pages of listings: by offset, and by a cursor of the service's own.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { optionalKey } from "./internal/schemas/optional.ts"
import { openEnum, taggedUnion } from "./internal/schemas/wire.ts"

/**
 * Where a page lies: `offset` and `limit` as asked for, and how many items there are in all.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Cursor = Schema.Struct({ offset: Schema.Int, limit: Schema.Int, total_count: Schema.Int })

/**
 * @since 0.1.0
 * @category models
 */
export type Cursor = typeof Cursor.Type

/**
 * A number in a query.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Count = Schema.NumberFromString.pipe(Schema.int(), Schema.greaterThanOrEqualTo(0))

/**
 * @since 0.1.0
 * @category schemas
 */
export const Page = Schema.Struct({
  limit: optionalKey(Count),
  offset: optionalKey(Count)
})

/**
 * Whose things are listed: the caller's own, or all that the caller may see.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AccessScope = openEnum("owned", "accessible")

/**
 * @since 0.1.0
 * @category models
 */
export type AccessScope = typeof AccessScope.Type

/**
 * The query of endpoints that take an access scope.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Scope = Schema.Struct({ access_scope: optionalKey(AccessScope) })

/**
 * Whose things a search looks through: the caller's own, everyone's, or those of one to ten users.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SearchOwner = taggedUnion(
  "type",
  Schema.Struct({ type: Schema.Literal("own") }),
  Schema.Struct({ type: Schema.Literal("accessible") }),
  Schema.Struct({
    type: Schema.Literal("user"),
    owner_urns: Schema.Array(Schema.String).pipe(Schema.minItems(1), Schema.maxItems(10))
  })
)

/**
 * @since 0.1.0
 * @category models
 */
export type SearchOwner = typeof SearchOwner.Type

/**
 * How many results a page of a search has: 1 to 200.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SearchLimit = Schema.Int.pipe(Schema.between(1, 200))
