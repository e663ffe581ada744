/** A network between a client and the service: requests take time on it, and faults happen to them. */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { PCGRandom } from "effect/Utils"
import type * as Fault from "../../Fault.ts"
import { type HttpClientErrors, type RequestError, requestError } from "../effect/httpErrors.ts"
import { captureSupervisor } from "../effect/runtime.ts"
import type { FaultPlan } from "./faultPlan.ts"
import { endpointOf, finishSessionRequest, jsonBodyOf } from "./requests.ts"
import { cutBody, garble, respond } from "./responses.ts"

type Request = HttpClientRequest.HttpClientRequest
type Sent = Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientErrors>

/** A request that a client sent, and what happened to it. @internal */
export interface Delivery {
  readonly endpoint: string
  readonly millis: number
  readonly fault: Fault.Action["_tag"] | undefined
  outcome: "waiting" | "responded" | "failed" | "interrupted"
  status: number | undefined
}

/** @internal */
export interface Options {
  /** the service */
  readonly inner: HttpClient.HttpClient
  /** ends its process, and starts another one after a while */
  readonly kill: (down: Duration.Duration) => Effect.Effect<void>
  readonly faults: FaultPlan
  /** the shortest and the longest, in milliseconds each way */
  readonly latency: readonly [number, number]
  readonly random: PCGRandom
  /** the scope of the service, in which it handles requests whose client has gone */
  readonly scope: Scope.Scope
  readonly record: (delivery: Delivery) => void
}

/** @internal */
export interface Network {
  readonly client: HttpClient.HttpClient
  /** how many requests have no response yet */
  readonly inFlight: () => number
  /** from now on there are no faults and no latency */
  readonly calm: () => void
  /** runs an effect whose fibers are those of the service */
  readonly unsupervised: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

interface State extends Options {
  /** when the network was made */
  readonly start: number
  /** hides the fibers of the service from trackers of the fibers of the client */
  readonly unsupervised: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  inFlight: number
  isCalm: boolean
}

/** @internal */
export const make = (options: Options): Effect.Effect<Network> =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    const unsupervised = yield* captureSupervisor
    const state: State = { ...options, start, unsupervised, inFlight: 0, isCalm: false }
    const client = HttpClient.makeWith<HttpClientErrors, never, HttpClientErrors, never>(
      (requests) =>
        Effect.flatMap(requests, (request) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => send(state, request, now - start))
        ),
      Effect.succeed as never
    )
    return {
      client,
      inFlight: () => state.inFlight,
      calm: () => {
        state.isCalm = true
      },
      unsupervised
    }
  })

/** Sends a request over the network, and records its delivery. */
const send = (state: State, request: Request, millis: number): Sent => {
  const endpoint = endpointOf(request.url)
  const action = state.isCalm
    ? undefined
    : state.faults.actionFor({
        endpoint,
        method: request.method,
        headers: request.headers,
        millis,
        get body() {
          return jsonBodyOf(request)
        }
      })
  const delivery: Delivery = { endpoint, millis, fault: action?._tag, outcome: "waiting", status: undefined }
  state.record(delivery)
  state.inFlight++
  return act(state, request, endpoint, action).pipe(
    Effect.onExit((exit) =>
      Effect.sync(() => {
        state.inFlight--
        if (Exit.isSuccess(exit)) {
          delivery.outcome = "responded"
          delivery.status = exit.value.status
        } else {
          delivery.outcome = Cause.isInterrupted(exit.cause) ? "interrupted" : "failed"
        }
      })
    )
  )
}

const latency = (state: State): Effect.Effect<void> =>
  Effect.suspend(() => {
    const [low, high] = state.latency
    const millis = state.isCalm ? 0 : low + state.random.number() * (high - low)
    return millis > 0 ? Effect.sleep(millis) : Effect.void
  })

/** The service handles the request, even when its client is gone by then. */
const deliver = ({ inner, scope, unsupervised }: State, request: Request, endpoint: string): Sent => {
  // a simulator identifies the operations of the engine by their spans
  const handled = inner.execute(request).pipe(unsupervised, Effect.withTracerEnabled(true))
  // only a poll is interrupted with its client
  return endpoint === "retrieve_future" || endpoint === "retrieve_futures"
    ? handled
    : Effect.flatMap(Effect.forkIn(handled, scope), Fiber.join).pipe(unsupervised)
}

const connectionLost = (request: Request): RequestError =>
  requestError({ request, reason: "Transport", description: "the connection was lost" })

/** Applies a fault to a request. */
const act = (state: State, request: Request, endpoint: string, action: Fault.Action | undefined): Sent => {
  const arrive = Effect.flatMap(latency(state), () => deliver(state, request, endpoint))
  const normal = Effect.tap(arrive, () => latency(state))
  if (action === undefined) return normal
  switch (action._tag) {
    case "LoseRequest":
      return action.silent ? Effect.never : Effect.flatMap(latency(state), () => Effect.fail(connectionLost(request)))
    case "LoseResponse":
      return Effect.flatMap(Effect.exit(arrive), () =>
        action.silent ? Effect.never : Effect.fail(connectionLost(request))
      )
    case "Respond":
      return Effect.flatMap(action.applied ? Effect.exit(arrive) : latency(state), () => respond(request, action))
    case "Delay":
      return Effect.delay(normal, action.duration)
    case "Duplicate":
      return Effect.flatMap(deliverLater(state, request, endpoint, action), () => normal)
    case "CutBody":
      return Effect.map(normal, cutBody)
    case "Garble":
      return Effect.flatMap(normal, (response) => garble(response, state.random))
    case "Pause":
      return endpoint === "retrieve_future" ? pause(request, action) : normal
    case "EndSession":
      return Effect.flatMap(endSession(state, request), () => normal)
    case "Kill":
      return Effect.flatMap(killLater(state, action), () => normal)
  }
}

/** Delivers the request once more, in the background. */
const deliverLater = (
  state: State,
  request: Request,
  endpoint: string,
  { after }: Extract<Fault.Action, { readonly _tag: "Duplicate" }>
) =>
  deliver(state, request, endpoint).pipe(
    Effect.delay(after),
    Effect.ignore,
    Effect.forkIn(state.scope),
    state.unsupervised
  )

const pause = (request: Request, { hold, reason, state }: Extract<Fault.Action, { readonly _tag: "Pause" }>): Sent => {
  const body = JSON.stringify({
    type: "try_again",
    request_id: (jsonBodyOf(request) as { readonly request_id?: unknown } | undefined)?.request_id,
    queue_state: state,
    queue_state_reason: reason
  })
  return Effect.delay(respond(request, { status: 200, headers: { "content-type": "application/json" }, body }), hold)
}

/** Ends the process of the service, in the background. */
const killLater = (
  { kill, scope, unsupervised }: State,
  { after, down }: Extract<Fault.Action, { readonly _tag: "Kill" }>
) => unsupervised(Effect.asVoid(Effect.forkIn(Effect.delay(kill(down), after), scope)))

/** Ends the session as the service would: what the service then does in the background is not the client's. */
const endSession = ({ inner, unsupervised }: State, request: Request): Effect.Effect<void> => {
  const finish = finishSessionRequest(request)
  return finish === undefined ? Effect.void : unsupervised(Effect.ignore(inner.execute(finish)))
}
