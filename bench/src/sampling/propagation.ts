/** What it costs a request to carry its trace: the headers `traceparent` and `b3`, made as the client makes them. */
import * as HttpTraceContext from "@effect/platform/HttpTraceContext"
import * as Effect from "effect/Effect"

const count = 1_000_000

/** The microseconds of CPU time for each request, once compiled. */
export const propagationMicros = (): number => {
  const span = Effect.runSync(Effect.makeSpan("sample"))
  const make = (times: number): number => {
    let length = 0
    for (let i = 0; i < times; i++) {
      const { b3, traceparent } = HttpTraceContext.toHeaders(span)
      length += ["traceparent", traceparent!, "b3", b3!].length
    }
    return length
  }
  make(count / 10)
  const start = process.cpuUsage()
  make(count)
  const { system, user } = process.cpuUsage(start)
  return (system + user) / count
}
