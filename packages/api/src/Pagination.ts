/**
 * Pages of listings and searches, and whose items they include.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as listings from "./internal/schemas/listing.ts"
import { optionalKey } from "./internal/schemas/optional.ts"
import { openEnum, taggedUnion } from "./internal/schemas/wire.ts"

/**
 * The position of a page: the `offset` and `limit` of the request, and the total number of items.
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
 * What is wrong with the entries of a listing that could not be read, such as `[3].tinker_path: is missing`. They are left
 * out of the list, but count as items of the page.
 *
 * @since 0.1.0
 * @category getters
 */
export const leftOut: (list: ReadonlyArray<unknown>) => ReadonlyArray<string> = listings.leftOut

/**
 * A non-negative integer in a query.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Count = Schema.NumberFromString.pipe(Schema.int(), Schema.greaterThanOrEqualTo(0))

/**
 * The query of a page.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Page = Schema.Struct({
  limit: optionalKey(Count),
  offset: optionalKey(Count)
})

/**
 * Which items are listed: those that the user owns, or all that the user can access.
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
 * The query of endpoints that accept an access scope.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Scope = Schema.Struct({ access_scope: optionalKey(AccessScope) })

/**
 * Whose items a search includes: those of the user, all that the user can access, or those of one to ten users.
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
 * The number of results on a page of a search: 1 to 200.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SearchLimit = Schema.Int.pipe(Schema.between(1, 200))
