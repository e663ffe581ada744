import * as Effect from "effect/Effect"
import type * as output from "./output.ts"
import * as progress from "./progress.ts"

interface Page<A> {
  readonly items: ReadonlyArray<A>
  /** of all pages */
  readonly total: number
}

/** As many elements as are asked for, all for 0, and how many there are. @internal */
export const collect = <A, E, R>(options: {
  readonly format: output.Format
  readonly what: string
  readonly limit: number
  readonly pageSize: number
  readonly page: (limit: number, offset: number) => Effect.Effect<Page<A>, E, R>
}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { limit, page, pageSize } = options
      const first = yield* page(limit > 0 ? Math.min(pageSize, limit) : pageSize, 0)
      const items = [...first.items]
      const wanted = Math.min(limit > 0 ? limit : first.total, first.total)
      if (items.length < wanted) {
        const bar = yield* progress.make(options.format, `Fetching ${wanted} ${options.what}`, wanted)
        yield* bar.at(items.length)
        while (items.length < wanted) {
          const asked = Math.min(pageSize, wanted - items.length)
          const next = yield* page(asked, items.length)
          items.push(...next.items)
          yield* bar.at(items.length)
          if (next.items.length < asked) break
        }
      }
      return { items, total: first.total }
    })
  )

/** What a title says of elements that are not shown. @internal */
export const titleOf = (counted: string, shown: number, total: number): string =>
  total > shown ? `${counted} (${total - shown} more not shown, use --limit to see more)` : counted
