/** Records the spans of a step by a tracer around the program's own. */
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"
import type { Span } from "./row.ts"

/** @internal */
export interface Window {
  /** Records the outermost spans that are started in an effect, and in the fibers that it forks, when they end. */
  readonly record: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** the spans that have ended, in the order of their ends */
  readonly spans: Effect.Effect<ReadonlyArray<Span>>
}

const seconds = (nanos: bigint): number => Number(nanos) / 1e9

/** `TrainingClient.forwardBackward` is `forward_backward`, the name that the files of runs have for it. */
const shortName = (name: string): string =>
  name.replace(/^TrainingClient\./, "").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

const watch = (span: Tracer.Span, ended: Array<Span>): void => {
  const end = span.end.bind(span)
  span.end = (time, exit) => {
    const start = span.status.startTime
    ended.push({
      name: shortName(span.name),
      duration: seconds(time - start),
      wall_start: seconds(start),
      wall_end: seconds(time)
    })
    end(time, exit)
  }
}

/** A tracer that makes the spans of another one, and notes the ends of those that have no parent of this window. */
const recording = (tracer: Tracer.Tracer, ended: Array<Span>): Tracer.Tracer => {
  const own = new Set<string>()
  return Tracer.make({
    span: (name, parent, ...rest) => {
      const span = tracer.span(name, parent, ...rest)
      const isInner = parent._tag === "Some" && own.has(parent.value.spanId)
      own.add(span.spanId)
      if (!isInner) watch(span, ended)
      return span
    },
    context: tracer.context
  })
}

/** @internal */
export const makeWindow: Effect.Effect<Window> = Effect.map(Effect.tracer, (tracer) => {
  const ended: Array<Span> = []
  const wrapped = recording(tracer, ended)
  return {
    record: (effect) => Effect.withTracer(effect, wrapped),
    spans: Effect.sync(() => ended.slice())
  }
})

/** The rows `time/*` of spans: the duration of one, or what is known of several of one name, in seconds. @internal */
export const timesOf = (spans: ReadonlyArray<Span>): { readonly [name: string]: number } => {
  const durations = new Map<string, Array<number>>()
  for (const { duration, name } of spans) durations.set(name, [...(durations.get(name) ?? []), duration])
  const times: Record<string, number> = {}
  for (const [name, all] of durations) {
    const total = all.reduce((a, b) => a + b, 0)
    if (all.length === 1) times[`time/${name}`] = total
    else {
      times[`time/${name}:total`] = total
      times[`time/${name}:count`] = all.length
      times[`time/${name}:mean`] = total / all.length
      times[`time/${name}:max`] = all.reduce((a, b) => Math.max(a, b), 0)
    }
  }
  return times
}

/** Whether the update of a step was submitted only when its pass had ended. @internal */
export const waitsForEachCall = (spans: ReadonlyArray<Span>): boolean => {
  const passes = spans.filter(({ name }) => name === "forward_backward")
  const updates = spans.filter(({ name }) => name === "optim_step")
  const lastPass = passes.reduce((latest, { wall_end }) => Math.max(latest, wall_end), 0)
  return passes.length > 0 && updates.length > 0 && updates.every(({ wall_start }) => wall_start > lastPass)
}
