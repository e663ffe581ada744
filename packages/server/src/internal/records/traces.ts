/** Records when the operations of a session were queued, started and ended, and exports them as a Chrome trace. */
import * as metrics from "../monitoring/metrics.ts"

/** One operation that has ended. Times are in milliseconds since the epoch. @internal */
export interface Event {
  /** type of the operation, such as `ForwardBackward` */
  readonly name: string
  /** id of the model or of the sampling session */
  readonly target: string
  readonly seq_id: number | undefined
  readonly queued: number
  /** absent if it never started */
  readonly started: number | undefined
  readonly ended: number
  readonly outcome: "done" | "failed"
}

/** The latest operations of a session. @internal */
export interface Trace {
  readonly events: Array<Event>
}

// beyond this the oldest tenth is evicted
const maxEvents = 4000

/** @internal */
export const make = (): Trace => ({ events: [] })

/** @internal */
export const add = ({ events }: Trace, event: Event): void => {
  if (event.started !== undefined) metrics.recordQueueTime(event.name, (event.started - event.queued) / 1000)
  events.push(event)
  if (events.length > maxEvents) events.splice(0, maxEvents / 10)
}

/** Names the two tracks of a target: one for running operations, one for waiting operations. */
const trackNames = (target: string, index: number): ReadonlyArray<object> =>
  [target, `${target} (waiting)`].map((name, i) => ({
    ph: "M",
    name: "thread_name",
    pid: 1,
    tid: 2 * index + i,
    args: { name }
  }))

/** A complete event of the Chrome format, whose times are in microseconds. */
const span = ({ name, outcome, seq_id }: Event, tid: number, from: number, to: number): object => ({
  ph: "X",
  cat: "tinker",
  name,
  pid: 1,
  tid,
  ts: from * 1000,
  dur: (to - from) * 1000,
  args: { seq_id, outcome }
})

/** The time that an operation waited, and the time that it ran. */
const spansOf = (event: Event, track: number): ReadonlyArray<object> => {
  const { ended, queued, started } = event
  const waitedUntil = started ?? ended
  return [
    ...(waitedUntil > queued ? [span(event, track + 1, queued, waitedUntil)] : []),
    ...(started === undefined ? [] : [span(event, track, started, ended)])
  ]
}

/**
 * A trace in Chrome's trace event format, which Perfetto and Chrome open. Each model and sampling session has a track of
 * running operations, and one of waiting operations.
 *
 * @internal
 */
export const toChromeTrace = (session: string, { events }: Trace): object => {
  const targets = Array.from(new Set(events.map(({ target }) => target)))
  const tracks = targets.flatMap(trackNames)
  const spans = events.flatMap((event) => spansOf(event, 2 * targets.indexOf(event.target)))
  return {
    displayTimeUnit: "ms",
    traceEvents: [{ ph: "M", name: "process_name", pid: 1, args: { name: `session ${session}` } }, ...tracks, ...spans]
  }
}
