/** Fetches lists that the service returns page by page. */
import * as Effect from "effect/Effect"
import type * as output from "../terminal/output.ts"
import * as progress from "../terminal/progress.ts"

interface Page<A> {
  readonly items: ReadonlyArray<A>
  /** The number of entries of this page that could not be read. */
  readonly leftOut: number
  /** The number of items on all pages, where the service reports it. */
  readonly total: number | undefined
}

interface Options<A, E, R> {
  readonly format: output.Format
  /** What is fetched, for the progress bar. */
  readonly what: string
  /** The number of items to fetch, 0 for all. */
  readonly limit: number
  readonly pageSize: number
  readonly page: (limit: number, offset: number) => Effect.Effect<Page<A>, E, R>
}

/** Fetches pages until there are `limit` items, and reports how many exist in total. @internal */
export const collect = <A, E, R>(options: Options<A, E, R>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { limit, page, pageSize } = options
      const first = yield* page(limit > 0 ? Math.min(pageSize, limit) : pageSize, 0)
      const items = [...first.items]
      let offset = first.items.length + first.leftOut
      // a service that reports no total is asked for one page
      const total = first.total ?? offset
      const wanted = Math.min(limit > 0 ? limit : total, total)
      if (offset < wanted) {
        const bar = yield* progress.make(options.format, `Fetching ${wanted} ${options.what}`, wanted)
        yield* bar.update(offset)
        while (offset < wanted) {
          const size = Math.min(pageSize, wanted - offset)
          const next = yield* page(size, offset)
          items.push(...next.items)
          const received = next.items.length + next.leftOut
          offset += received
          yield* bar.update(offset)
          if (received < size) break
        }
      }
      return { items, total }
    })
  )

/** The title of a list, which mentions how many items are not shown. @internal */
export const titleOf = (counted: string, shown: number, total: number): string =>
  total > shown ? `${counted} (${total - shown} more not shown, use --limit to see more)` : counted
