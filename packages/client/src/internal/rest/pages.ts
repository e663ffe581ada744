/** Streams the items of a paged listing, by offset or by cursor. */
import * as Pagination from "@effect-tinker/api/Pagination"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as options from "./options.ts"

interface Page<A> {
  /** without the entries that could not be read, which `Pagination.leftOut` counts */
  readonly items: ReadonlyArray<A>
  /** number of items in the whole listing, where the service reports it */
  readonly total: number | undefined
}

type FetchPage<A> = (at: {
  readonly limit: number
  readonly offset: number
}) => Effect.Effect<Page<A>, TinkerError.TinkerError>

/** The number of entries of a page, also of those that could not be read. */
const sizeOf = (items: ReadonlyArray<unknown>): number => items.length + Pagination.leftOut(items).length

/** The offset of the next page, if there may be one. A service may return fewer items than `limit`. */
const nextOffset = ({ items, total }: Page<unknown>, offset: number, limit: number): number | undefined => {
  const size = sizeOf(items)
  const next = offset + size
  const more = size > 0 && (total === undefined ? size >= limit : next < total)
  return more ? next : undefined
}

/** Requests one page after the other. */
const sequentially = <A>(fetch: FetchPage<A>, limit: number, from: number): Stream.Stream<A, TinkerError.TinkerError> =>
  Stream.paginateChunkEffect(from, (offset) =>
    Effect.map(fetch({ limit, offset }), (page) => [
      Chunk.unsafeFromArray(page.items),
      Option.fromNullable(nextOffset(page, offset, limit))
    ])
  )

/** Requests the first page, and then the others concurrently if the service reports the total. */
const concurrently = <A>(
  fetch: FetchPage<A>,
  limit: number,
  from: number,
  concurrency: number
): Stream.Stream<A, TinkerError.TinkerError> =>
  Stream.unwrap(
    Effect.map(fetch({ limit, offset: from }), (page) => {
      const first = Stream.fromIterable(page.items)
      const next = nextOffset(page, from, limit)
      if (next === undefined) return first
      if (page.total === undefined) return Stream.concat(first, sequentially(fetch, limit, next))
      // the service may allow smaller pages only
      const size = sizeOf(page.items)
      const offsets = Array.from({ length: Math.ceil((page.total - next) / size) }, (_, index) => next + index * size)
      return Stream.concat(
        first,
        Stream.fromIterable(offsets).pipe(
          Stream.mapEffect((offset) => fetch({ limit: size, offset }), { concurrency }),
          Stream.flatMap(({ items }) => Stream.fromIterable(items))
        )
      )
    })
  )

const isWholeFrom = (least: number, value: number) => Number.isSafeInteger(value) && value >= least

const checkWalk = (
  method: string,
  walk: { readonly offset: number; readonly pageSize: number; readonly concurrency: number }
): TinkerError.InvalidInput | undefined => {
  for (const [path, least] of [
    ["offset", 0],
    ["pageSize", 1],
    ["concurrency", 1]
  ] as const) {
    if (!isWholeFrom(least, walk[path])) {
      return new TinkerError.InvalidInput({
        method,
        path,
        reason: `is ${walk[path]}: give a whole number of ${least} or more`
      })
    }
  }
  return undefined
}

/**
 * All items from an offset on. Pages are requested as items are consumed; with a concurrency above 1, some are requested
 * ahead.
 *
 * @internal
 */
export const byOffset = <A>(
  method: string,
  { concurrency = 1, offset = 0, pageSize = 100 }: options.Walk,
  fetch: FetchPage<A>
): Stream.Stream<A, TinkerError.TinkerError> => {
  const problem = checkWalk(method, { concurrency, offset, pageSize })
  if (problem !== undefined) return Stream.fail(problem)
  return concurrency === 1 ? sequentially(fetch, pageSize, offset) : concurrently(fetch, pageSize, offset, concurrency)
}

/** All items from a cursor on. @internal */
export const byCursor = <A, C>(
  from: C | undefined,
  fetch: (
    cursor: C | undefined
  ) => Effect.Effect<{ readonly items: ReadonlyArray<A>; readonly next: C | undefined }, TinkerError.TinkerError>
): Stream.Stream<A, TinkerError.TinkerError> =>
  Stream.paginateChunkEffect(from, (cursor) =>
    Effect.map(fetch(cursor), ({ items, next }) => [
      Chunk.unsafeFromArray(items),
      next === undefined ? Option.none() : Option.some(next)
    ])
  )
