/** Counts every request, gives it an id, and logs it at debug level: nothing of its query, its headers or its body. */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { currentMillisUnsafe } from "../effect/runtime.ts"
import * as ids from "../util/ids.ts"
import { nameOf } from "./endpointNames.ts"
import * as metrics from "./metrics.ts"

/** The request that runs. @internal */
export interface CurrentRequest {
  readonly id: string
  /** the name of the user, once it is known */
  user: string | undefined
}

/** @internal */
export class RequestRecord extends Context.Reference<RequestRecord>()("@effect-tinker/server/internal/RequestRecord", {
  defaultValue: (): CurrentRequest => ({ id: ids.numbered(0, 0), user: undefined })
}) {}

const header = "x-request-id"

// a proxy in front of the service may have numbered the request
const givenId = /^[\w.:-]{1,64}$/

const maxPath = 200

/** The path without the query, which may hold the signature of a URL. */
const pathOf = (url: string): string => url.split(/[?#]/, 1)[0]!

/** The status of a response; 499 if the client went away before it, 500 if there is none. */
const statusOf = (exit: Exit.Exit<HttpServerResponse.HttpServerResponse>): number =>
  Exit.match(exit, {
    onSuccess: ({ status }) => status,
    onFailure: (cause) => (Cause.isInterruptedOnly(cause) ? 499 : 500)
  })

// numbers the requests of a process
let count = 0

const makeRecord = (request: HttpServerRequest.HttpServerRequest, now: number): CurrentRequest => {
  const given = request.headers[header]
  return { id: given !== undefined && givenId.test(given) ? given : ids.numbered(now, ++count), user: undefined }
}

const report = (record: CurrentRequest, method: string, path: string, status: number, seconds: number) =>
  Effect.logDebug(
    `request ${record.id}: ${method} ${path.slice(0, maxPath)} ${status} in ${Math.round(seconds * 1e3)} ms, ` +
      `user ${record.user ?? "unknown"}`
  )

/** Observes a request. Its response carries its id. @internal */
export const observe = (
  app: (request: HttpServerRequest.HttpServerRequest, record: CurrentRequest) => HttpApp.Default
): HttpApp.Default =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    Effect.clockWith((clock) => {
      const record = makeRecord(request, currentMillisUnsafe(clock))
      const started = clock.unsafeCurrentTimeNanos()
      const { method } = request
      const path = pathOf(request.url)
      const finish = (exit: Exit.Exit<HttpServerResponse.HttpServerResponse>) => {
        const status = statusOf(exit)
        const seconds = Number(clock.unsafeCurrentTimeNanos() - started) / 1e9
        metrics.recordRequest(nameOf(method, path), status, seconds)
        return report(record, method, path, status, seconds)
      }
      return Effect.map(Effect.onExit(app(request, record), finish), (response) =>
        HttpServerResponse.setHeader(response, header, record.id)
      )
    })
  )
