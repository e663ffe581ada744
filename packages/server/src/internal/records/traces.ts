/** What a session's operations were, and when: as much as a viewer of traces shows. */

/** @internal */
export interface Event {
  /** what was done, such as `ForwardBackward` */
  readonly name: string
  /** the model or the sampling session */
  readonly target: string
  readonly seq_id: number | undefined
  /** milliseconds since the epoch, as all */
  readonly queued: number
  /** absent where it never began */
  readonly started: number | undefined
  readonly ended: number
  readonly outcome: "done" | "failed"
}

/** The last operations of a session. @internal */
export interface Trace {
  readonly events: Array<Event>
}

const held = 4000

/** @internal */
export const make = (): Trace => ({ events: [] })

/** @internal */
export const add = ({ events }: Trace, event: Event): void => {
  events.push(event)
  if (events.length > held) events.splice(0, held / 10)
}

/**
 * In the format of Chrome's tracing, which Perfetto reads: a track for each model and sampling session; the time that an
 * operation waited comes before it, on a track beside.
 *
 * @internal
 */
export const toChrome = (session: string, { events }: Trace): object => {
  const targets = Array.from(new Set(events.map(({ target }) => target)))
  const tracks = targets.flatMap((target, index) =>
    [target, `${target} (waiting)`].map((name, i) => ({
      ph: "M",
      name: "thread_name",
      pid: 1,
      tid: 2 * index + i,
      args: { name }
    }))
  )
  const spans = events.flatMap(({ ended, name, outcome, queued, seq_id, started, target }) => {
    const tid = 2 * targets.indexOf(target)
    const span = (tid: number, from: number, to: number) => ({
      ph: "X",
      cat: "tinker",
      name,
      pid: 1,
      tid,
      ts: from * 1000,
      dur: (to - from) * 1000,
      args: { seq_id, outcome }
    })
    const begun = started ?? ended
    return [
      ...(begun > queued ? [span(tid + 1, queued, begun)] : []),
      ...(started === undefined ? [] : [span(tid, started, ended)])
    ]
  })
  return {
    displayTimeUnit: "ms",
    traceEvents: [{ ph: "M", name: "process_name", pid: 1, args: { name: `session ${session}` } }, ...tracks, ...spans]
  }
}
