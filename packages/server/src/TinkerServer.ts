/**
 * The service's HTTP endpoints: handlers of `TinkerApi` over `TinkerService`. Serve them with `Node`, call them without a
 * socket with `InFiber`, or build them into a server of one's own with `HttpApiBuilder.serve`.
 *
 * Whatever is wrong with a request is answered with 4xx and a JSON body `{ detail }`: 422 for a body that is not JSON or
 * not of the endpoint's form, with the path to the field at fault; 415 for one of another type; 401 for a missing or
 * wrong key; 404 for a path that does not exist.
 *
 * @since 0.1.0
 */
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as Training from "@effect-tinker/api/Training"
import type * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiError from "@effect/platform/HttpApiError"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMethod from "@effect/platform/HttpMethod"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as CheckpointStore from "./CheckpointStore.ts"
import type * as Engine from "./Engine.ts"
import * as apiErrors from "./internal/apiErrors.ts"
import * as apiKeys from "./internal/apiKeys.ts"
import { collect } from "./internal/messages.ts"
import * as TinkerService from "./TinkerService.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends TinkerService.Options {
  /** `X-API-Key` must be one of these; without any, every request is allowed */
  readonly apiKeys?: ReadonlyArray<Redacted.Redacted<string>> | undefined
}

// an answer that the contract does not list is given as a response
const orGone = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.catchIf(
    effect,
    (error): error is Extract<E, { readonly _tag: "GoneResponse"; readonly detail: string }> =>
      (error as { readonly _tag?: unknown })._tag === "GoneResponse",
    (error) => Effect.succeed(apiErrors.toResponse(apiErrors.fromRefusal(error)))
  )

const service = HttpApiBuilder.group(TinkerApi.TinkerApi, "service", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers
      .handle("clientConfig", () => Effect.succeed(tinker.clientConfig))
      .handle("healthz", () => Effect.succeed({ status: "ok" as const }))
      .handle("getServerCapabilities", () => Effect.succeed(tinker.capabilities))
      .handle("createSession", () => tinker.createSession)
      .handle("sessionHeartbeat", ({ payload }) =>
        orGone(Effect.as(tinker.sessionHeartbeat(payload.session_id), { type: "session_heartbeat" }))
      )
  )
)

const models = HttpApiBuilder.group(TinkerApi.TinkerApi, "models", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers
      .handle("createModel", ({ payload }) => orGone(tinker.createModel(payload)))
      .handle("getInfo", ({ payload }) => orGone(tinker.getInfo(payload.model_id)))
  )
)

const decodePass = Schema.decodeUnknown(Training.ForwardBackwardRequest)

/** A pass in either of its forms. What cannot be read is a defect, as it is for all other bodies. */
const readPass = (request: HttpServerRequest.HttpServerRequest) =>
  ProtobufCodec.isProtobuf(request.headers["content-type"])
    ? Effect.orDie(Effect.flatMap(collect(request.stream), ProtobufCodec.decodeForwardBackwardRequest))
    : request.json.pipe(
        Effect.flatMap(decodePass),
        Effect.map((pass) => ({ ...pass, forward_only: false })),
        Effect.catchTag("ParseError", HttpApiError.HttpApiDecodeError.refailParseError),
        Effect.orDie
      )

const training = HttpApiBuilder.group(TinkerApi.TinkerApi, "training", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers
      .handleRaw("forwardBackward", ({ request }) =>
        Effect.flatMap(readPass(request), ({ forward_only, ...pass }) =>
          orGone(
            forward_only
              ? tinker.forward({ ...pass, forward_input: pass.forward_backward_input })
              : tinker.forwardBackward(pass)
          )
        )
      )
      .handle("forward", ({ payload }) => orGone(tinker.forward(payload)))
      .handle("optimStep", ({ payload }) => orGone(tinker.optimStep(payload)))
      .handle("saveWeights", ({ payload }) => orGone(tinker.saveWeights(payload)))
      .handle("saveWeightsForSampler", ({ payload }) => orGone(tinker.saveWeightsForSampler(payload)))
      .handle("loadWeights", ({ payload }) => orGone(tinker.loadWeights(payload)))
  )
)

const sampling = HttpApiBuilder.group(TinkerApi.TinkerApi, "sampling", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers
      .handle("createSamplingSession", ({ payload }) =>
        orGone(Effect.map(tinker.createSamplingSession(payload), (sampling_session_id) => ({ sampling_session_id })))
      )
      .handle("asample", ({ payload }) => orGone(tinker.sample(payload)))
  )
)

const formOf = ({ headers }: HttpServerRequest.HttpServerRequest) =>
  ProtobufCodec.isProtobuf(headers["accept"]) ? "protobuf" : "json"

const json = (body: unknown) => HttpServerResponse.unsafeJson(body)

const futures = HttpApiBuilder.group(TinkerApi.TinkerApi, "futures", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers.handle("retrieveFuture", ({ payload, request }) =>
      orGone(
        Effect.map(tinker.retrieve(payload, formOf(request)), (found) => {
          switch (found._tag) {
            case "TryAgain":
              return json(found.body)
            case "Large":
              return json({ status: "complete_metadata", response_payload_size: found.size })
            case "Failed":
              return json({ error: found.error, category: found.category })
            case "Done":
              return HttpServerResponse.uint8Array(found.bytes, {
                contentType: found.form === "json" ? "application/json" : ProtobufCodec.contentType
              })
          }
        })
      )
    )
  )
)

const unauthorized = apiErrors.toResponse({
  status: 401,
  detail: "the key in X-API-Key is missing or wrong",
  tag: "UnauthorizedResponse"
})

/** The number of an operation whose body could not be decoded is used up all the same. */
const burn = (tinker: TinkerService.Service, request: HttpServerRequest.HttpServerRequest, detail: string) =>
  Effect.matchEffect(ProtobufCodec.isProtobuf(request.headers["content-type"]) ? Effect.void : request.json, {
    onFailure: () => Effect.void,
    onSuccess: (body) =>
      typeof body === "object" && body !== null && "model_id" in body && "seq_id" in body
        ? tinker.refuse(body, detail)
        : Effect.void
  })

/** Why a body is not read at all: bodies are JSON, and those of passes may be protobuf; none is compressed. */
const unsupported = ({ headers, method, url }: HttpServerRequest.HttpServerRequest): string | undefined => {
  if (!HttpMethod.hasBody(method)) return undefined
  const encoding = headers["content-encoding"] ?? "identity"
  if (encoding !== "identity") return `content-encoding ${encoding} is not supported`
  const type = headers["content-type"] ?? "application/json"
  return type.toLowerCase().includes("application/json") ||
    (ProtobufCodec.isProtobuf(type) && url.split("?")[0]!.endsWith("/forward_backward"))
    ? undefined
    : `content-type ${type} is not supported: send application/json`
}

const guard =
  (tinker: TinkerService.Service, keys: ReadonlyArray<Redacted.Redacted<string>>) =>
  (app: HttpApp.Default): HttpApp.Default =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      if (keys.length > 0 && !apiKeys.isAllowed(keys, request.headers["x-api-key"])) return Effect.succeed(unauthorized)
      const reason = unsupported(request)
      if (reason !== undefined) return Effect.succeed(apiErrors.toResponse({ status: 415, detail: reason }))
      return Effect.catchAllCause(app, (cause) => {
        if (Cause.isInterrupted(cause)) return Effect.failCause(cause)
        const answer = apiErrors.fromCause(cause)
        if (answer !== undefined) {
          return answer.status === 422
            ? Effect.as(burn(tinker, request, answer.detail), apiErrors.toResponse(answer))
            : Effect.succeed(apiErrors.toResponse(answer))
        }
        return Effect.as(
          Effect.logError(`${request.method} ${request.url} failed`, cause),
          apiErrors.toResponse({ status: 500, detail: "an internal error, which the service has logged" })
        )
      })
    })

/**
 * The endpoints over a `TinkerService` that is there already.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerHandlers = (
  options: Pick<Options, "apiKeys"> = {}
): Layer.Layer<HttpApi.Api, never, TinkerService.TinkerService> =>
  Layer.merge(
    HttpApiBuilder.api(TinkerApi.TinkerApi).pipe(Layer.provide([service, models, training, sampling, futures])),
    HttpApiBuilder.middleware(Effect.map(TinkerService.TinkerService, (tinker) => guard(tinker, options.apiKeys ?? [])))
  )

/**
 * The endpoints with a service of their own.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<HttpApi.Api | TinkerService.TinkerService, never, Engine.Engine | CheckpointStore.CheckpointStore> =>
  Layer.provideMerge(layerHandlers(options), TinkerService.layer(options))
