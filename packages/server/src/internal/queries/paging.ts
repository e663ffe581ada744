/** Sorts listings, and cuts pages out of them by offset or by cursor. */
import type * as Pagination from "@effect-tinker/api/Pagination"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as responses from "../util/responses.ts"
import type { Query } from "./serviceState.ts"

/** @internal */
export type Page = typeof Pagination.Page.Type

/** What a listing is sorted by: a time in milliseconds, then a name. @internal */
export type SortKey = readonly [millis: number, name: string]

/** The page at an offset, and the cursor that describes it. @internal */
export const pageAt = <A>(items: ReadonlyArray<A>, { limit, offset = 0 }: Page, defaultLimit: number) => ({
  items: items.slice(offset, offset + (limit ?? defaultLimit)),
  cursor: { offset, limit: limit ?? defaultLimit, total_count: items.length }
})

/** Sorts by time, the newest first; items of the same time by name, in descending order. @internal */
export const newestFirst = <A>(items: ReadonlyArray<A>, key: (item: A) => SortKey): ReadonlyArray<A> =>
  items.slice().sort((a, b) => {
    const [timeA, nameA] = key(a)
    const [timeB, nameB] = key(b)
    return timeB - timeA || (nameA < nameB ? 1 : nameA > nameB ? -1 : 0)
  })

/** The items after a cursor, in the order of `newestFirst`. @internal */
export const afterCursor = <A>(
  items: ReadonlyArray<A>,
  key: (item: A) => SortKey,
  cursor: { readonly time: string; readonly name: string } | undefined
): Query<ReadonlyArray<A>> => {
  if (cursor === undefined) return Effect.succeed(items)
  const time = DateTime.make(cursor.time)
  if (Option.isNone(time)) return responses.badRequest(`cursor: ${JSON.stringify(cursor.time)} is not a time`)
  const cursorMillis = DateTime.toEpochMillis(time.value)
  return Effect.succeed(
    items.filter((item) => {
      const [millis, name] = key(item)
      return millis < cursorMillis || (millis === cursorMillis && name < cursor.name)
    })
  )
}

/** The first page, and its last item if more items follow. @internal */
export const firstPage = <A>(items: ReadonlyArray<A>, limit: number) => ({
  page: items.slice(0, limit),
  last: items.length > limit ? items[limit - 1] : undefined
})
