/**
 * Measures where a program spends its time: wraps effects, sums durations by name, and formats a table.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * @since 0.1.0
 * @category models
 */
export interface Timing {
  readonly name: string
  readonly count: number
  readonly seconds: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Adds the duration of an effect, whether it succeeds or not, to the total of the name. */
  readonly time: (name: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** in the order in which each name first finished */
  readonly entries: Effect.Effect<ReadonlyArray<Timing>>
  /** seconds since the service was created */
  readonly elapsedSeconds: Effect.Effect<number>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Timings extends Context.Tag("@effect-tinker/cookbook/Timings")<Timings, Service>() {}

const seconds = (nanos: bigint): number => Number(nanos) / 1e9

/**
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service> = Effect.gen(function* () {
  const start = yield* Clock.currentTimeNanos
  const totals = new Map<string, { count: number; nanos: bigint }>()
  return {
    time: (name) => (effect) =>
      Effect.flatMap(Clock.currentTimeNanos, (start) =>
        Effect.ensuring(
          effect,
          Effect.map(Clock.currentTimeNanos, (end) => {
            const entry = totals.get(name) ?? { count: 0, nanos: 0n }
            totals.set(name, { count: entry.count + 1, nanos: entry.nanos + end - start })
          })
        )
      ),
    entries: Effect.sync(() =>
      Array.from(totals, ([name, { count, nanos }]) => ({ name, count, seconds: seconds(nanos) }))
    ),
    elapsedSeconds: Effect.map(Clock.currentTimeNanos, (now) => seconds(now - start))
  }
})

/**
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Timings> = Layer.effect(Timings, make)

/**
 * Adds the time that it takes to build a layer to the total of the name.
 *
 * @since 0.1.0
 * @category layers
 */
export const timeLayer =
  (name: string) =>
  <A, E, R>(self: Layer.Layer<A, E, R>): Layer.Layer<A, E, R | Timings> =>
    Layer.scopedContext(Effect.flatMap(Timings, (timings) => timings.time(name)(Layer.build(self))))

/**
 * The timings as lines of text, and the rest of the elapsed time. It assumes that timed effects do not overlap.
 *
 * @since 0.1.0
 * @category conversions
 */
export const table = (timings: Service): Effect.Effect<string> =>
  Effect.gen(function* () {
    const entries = yield* timings.entries
    const total = yield* timings.elapsedSeconds
    const named = entries.reduce((sum, entry) => sum + entry.seconds, 0)
    const rows = [
      ...entries.map(({ count, name, seconds }) => ({ name, seconds, count: String(count) })),
      { name: "everything else", seconds: Math.max(0, total - named), count: "" },
      { name: "total", seconds: total, count: "" }
    ]
    const width = Math.max(...rows.map(({ name }) => name.length))
    return rows
      .map(({ count, name, seconds }) =>
        [
          name.padEnd(width),
          `${seconds.toFixed(2)} s`.padStart(10),
          `${total === 0 ? 0 : Math.round((seconds / total) * 100)} %`.padStart(6),
          count === "" ? "" : `  ${count} ×`
        ].join("")
      )
      .join("\n")
  })
