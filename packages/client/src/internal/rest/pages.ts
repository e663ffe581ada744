import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/** @internal */
export interface Walk {
  readonly offset?: number | undefined
  readonly pageSize?: number | undefined
  readonly concurrency?: number | undefined
}

/** @internal */
export interface Page<A> {
  readonly items: ReadonlyArray<A>
  /** of all pages, where the service says it */
  readonly total: number | undefined
}

type Fetch<A> = (at: {
  readonly limit: number
  readonly offset: number
}) => Effect.Effect<Page<A>, TinkerError.TinkerError>

const positive = (value: number) => Number.isSafeInteger(value) && value > 0

/** From one offset on, page after page, until a page is empty, or there are no more. */
const sequentially = <A>(fetch: Fetch<A>, limit: number, from: number): Stream.Stream<A, TinkerError.TinkerError> =>
  Stream.paginateChunkEffect(from, (offset) =>
    Effect.map(fetch({ limit, offset }), ({ items, total }) => {
      const next = offset + items.length
      // a service may give less at a time than it was asked for
      const more = items.length > 0 && (total === undefined ? items.length >= limit : next < total)
      return [Chunk.unsafeFromArray(items), more ? Option.some(next) : Option.none()] as const
    })
  )

/**
 * All items from an offset on. Pages are asked for as items are taken; with a concurrency above 1, some ahead.
 *
 * @internal
 */
export const byOffset = <A>(
  method: string,
  { concurrency = 1, offset = 0, pageSize = 100 }: Walk,
  fetch: Fetch<A>
): Stream.Stream<A, TinkerError.TinkerError> => {
  const wrong =
    !Number.isSafeInteger(offset) || offset < 0
      ? ({ path: "offset", reason: `is ${offset}: give a whole number of 0 or more` } as const)
      : !positive(pageSize)
        ? ({ path: "pageSize", reason: `is ${pageSize}: give a whole number of 1 or more` } as const)
        : !positive(concurrency)
          ? ({ path: "concurrency", reason: `is ${concurrency}: give a whole number of 1 or more` } as const)
          : undefined
  if (wrong !== undefined) return Stream.fail(new TinkerError.InvalidInput({ method, ...wrong }))
  if (concurrency === 1) return sequentially(fetch, pageSize, offset)
  return Stream.unwrap(
    Effect.map(fetch({ limit: pageSize, offset }), ({ items, total }) => {
      const first = Stream.fromIterable(items)
      const limit = items.length
      const next = offset + limit
      if (limit === 0 || (total === undefined ? limit < pageSize : next >= total)) return first
      if (total === undefined) return Stream.concat(first, sequentially(fetch, pageSize, next))
      const rest = Array.from({ length: Math.ceil((total - next) / limit) }, (_, index) => next + index * limit)
      return Stream.concat(
        first,
        Stream.fromIterable(rest).pipe(
          Stream.mapEffect((offset) => fetch({ limit, offset }), { concurrency }),
          Stream.flatMap(({ items }) => Stream.fromIterable(items))
        )
      )
    })
  )
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
