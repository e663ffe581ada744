import { prefix } from "@effect-tinker/api/TinkerApi"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { PCGRandom } from "effect/Utils"
import type * as Fault from "../Fault.ts"

/** A request that a client sent, and what became of it. @internal */
export interface Delivery {
  readonly endpoint: string
  readonly millis: number
  fault: Fault.Action["_tag"] | undefined
  outcome: "waiting" | "answered" | "failed" | "interrupted"
  status: number | undefined
}

/** @internal */
export interface Options {
  readonly inner: HttpClient.HttpClient
  readonly faults: ReadonlyArray<Fault.Fault>
  /** a fault that the weather brings to a request */
  readonly weather: (request: Fault.Request) => Fault.Action | undefined
  /** milliseconds each way */
  readonly latency: readonly [number, number]
  readonly chance: PCGRandom
  /** the service's, where what was delivered goes on when its sender is gone */
  readonly scope: Scope.Scope
  readonly endSession: (request: HttpClientRequest.HttpClientRequest) => Effect.Effect<void>
  readonly record: (delivery: Delivery) => void
}

/** @internal */
export interface Network {
  readonly client: HttpClient.HttpClient
  /** requests whose senders wait for an answer */
  readonly inFlight: () => number
  /** no more faults, no more latency */
  readonly calm: () => void
}

/** The parsed JSON body of a request. @internal */
export const bodyOf = ({ body }: HttpClientRequest.HttpClientRequest): unknown => {
  if (body._tag !== "Uint8Array" || !body.contentType.startsWith("application/json")) return undefined
  try {
    return JSON.parse(new TextDecoder().decode(body.body))
  } catch {
    return undefined
  }
}

const endpointOf = (url: string): string => {
  const path = url.split("?", 1)[0]!
  const at = path.lastIndexOf(`${prefix}/`)
  return at < 0 ? path : path.slice(at + prefix.length + 1)
}

const html = "<html><body>upstream connect error</body></html>"

/** @internal */
export const make = (options: Options): Effect.Effect<Network> =>
  Effect.gen(function* () {
    const { chance, inner, scope } = options
    const start = yield* Clock.currentTimeMillis
    // fibers of the service are not its clients'
    const supervisor = yield* FiberRef.get(FiberRef.currentSupervisor)
    const counts = options.faults.map(() => 0)
    let inFlight = 0
    let isCalm = false

    const between = ([low, high]: readonly [number, number]) => low + chance.number() * (high - low)

    const actionFor = (request: Fault.Request): Fault.Action | undefined => {
      if (isCalm) return undefined
      for (let i = 0; i < options.faults.length; i++) {
        const fault = options.faults[i]!
        if (fault.endpoints.length > 0 && !fault.endpoints.includes(request.endpoint)) continue
        if (fault.during !== undefined && (request.millis < fault.during[0] || request.millis >= fault.during[1])) {
          continue
        }
        if (!fault.where.every((predicate) => predicate(request))) continue
        counts[i]! += 1
        if (fault.counts(counts[i]!) && (fault.chance >= 1 || chance.number() < fault.chance)) return fault.action
      }
      return options.weather(request)
    }

    const wait = Effect.suspend(() => {
      const millis = isCalm ? 0 : between(options.latency)
      return millis > 0 ? Effect.sleep(millis) : Effect.void
    })

    const deliver = (request: HttpClientRequest.HttpClientRequest, endpoint: string) => {
      const received = inner.execute(request).pipe(
        Effect.locally(FiberRef.currentSupervisor, supervisor),
        // by its spans the record knows which operation the engine works on
        Effect.withTracerEnabled(true)
      )
      // a poll ends with its sender; whatever else has arrived is worked on
      return endpoint === "retrieve_future" || endpoint === "retrieve_futures"
        ? received
        : Effect.flatMap(Effect.forkIn(received, scope), Fiber.join).pipe(
            Effect.locally(FiberRef.currentSupervisor, supervisor)
          )
    }

    const answer = (
      request: HttpClientRequest.HttpClientRequest,
      status: number,
      headers: { readonly [name: string]: string },
      body: string
    ) => {
      const bytes = new TextEncoder().encode(body)
      const app = Effect.succeed(
        HttpServerResponse.raw(bytes, { status, headers: { ...headers, "content-length": String(bytes.length) } })
      )
      return Effect.flatMap(InProcessHttpClient.fromHttpApp(app), (client) => client.execute(request))
    }

    const lost = (request: HttpClientRequest.HttpClientRequest) =>
      new HttpClientError.RequestError({ request, reason: "Transport", description: "the connection was lost" })

    const cut = (response: HttpClientResponse.HttpClientResponse): HttpClientResponse.HttpClientResponse => {
      const error = new HttpClientError.ResponseError({
        request: response.request,
        response,
        reason: "Decode",
        description: "the connection was lost within the body"
      })
      const fails = { value: Effect.fail(error) }
      return Object.create(response, {
        text: fails,
        json: fails,
        arrayBuffer: fails,
        urlParamsBody: fails,
        stream: { value: Stream.fail(error) }
      }) as HttpClientResponse.HttpClientResponse
    }

    // protobuf without a field's end, or JSON that stops
    const garbled = (response: HttpClientResponse.HttpClientResponse) =>
      Effect.gen(function* () {
        const type = response.headers["content-type"] ?? "application/json"
        const bytes = new Uint8Array(yield* response.arrayBuffer)
        const text = type.includes("protobuf")
          ? "\u000f\u000f\u000f"
          : chance.integer(2) === 0 || bytes.length < 3
            ? html
            : new TextDecoder().decode(bytes.subarray(0, Math.floor(bytes.length / 2)))
        return yield* answer(response.request, response.status, { "content-type": type }, text)
      })

    const act = (
      request: HttpClientRequest.HttpClientRequest,
      endpoint: string,
      action: Fault.Action | undefined
    ): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> => {
      const arrive = Effect.zipRight(wait, deliver(request, endpoint))
      const normal = Effect.zipLeft(arrive, wait)
      if (action === undefined) return normal
      switch (action._tag) {
        case "LoseRequest":
          return action.silent ? Effect.never : Effect.zipRight(wait, Effect.fail(lost(request)))
        case "LoseAnswer":
          return Effect.zipRight(Effect.exit(arrive), action.silent ? Effect.never : Effect.fail(lost(request)))
        case "Answer":
          return Effect.zipRight(
            action.applied ? Effect.exit(arrive) : wait,
            answer(request, action.status, action.headers, action.body)
          )
        case "Delay":
          return Effect.delay(normal, action.duration)
        case "Duplicate":
          return Effect.zipRight(
            deliver(request, endpoint).pipe(
              Effect.delay(action.after),
              Effect.ignore,
              Effect.forkIn(scope),
              Effect.locally(FiberRef.currentSupervisor, supervisor)
            ),
            normal
          )
        case "CutBody":
          return Effect.map(normal, cut)
        case "Garble":
          return Effect.flatMap(normal, garbled)
        case "Pause":
          return endpoint !== "retrieve_future"
            ? normal
            : answer(
                request,
                200,
                { "content-type": "application/json" },
                JSON.stringify({
                  type: "try_again",
                  request_id: (bodyOf(request) as { readonly request_id?: unknown } | undefined)?.request_id,
                  queue_state: action.state,
                  queue_state_reason: action.reason
                })
              ).pipe(Effect.delay(action.hold))
        case "EndSession":
          return Effect.zipRight(options.endSession(request), normal)
      }
    }

    const client = HttpClient.makeWith<HttpClientError.HttpClientError, never, HttpClientError.HttpClientError, never>(
      (requests) =>
        Effect.flatMap(requests, (request) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            const endpoint = endpointOf(request.url)
            const millis = now - start
            const action = actionFor({
              endpoint,
              method: request.method,
              headers: request.headers,
              millis,
              get body() {
                return bodyOf(request)
              }
            })
            const delivery: Delivery = {
              endpoint,
              millis,
              fault: action?._tag,
              outcome: "waiting",
              status: undefined
            }
            options.record(delivery)
            inFlight++
            return act(request, endpoint, action).pipe(
              Effect.onExit((exit) =>
                Effect.sync(() => {
                  inFlight--
                  if (Exit.isSuccess(exit)) {
                    delivery.outcome = "answered"
                    delivery.status = exit.value.status
                  } else {
                    delivery.outcome = Cause.isInterrupted(exit.cause) ? "interrupted" : "failed"
                  }
                })
              )
            )
          })
        ),
      Effect.succeed as never
    )

    return {
      client,
      inFlight: () => inFlight,
      calm: () => {
        isCalm = true
      }
    }
  })
