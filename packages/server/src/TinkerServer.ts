/**
 * The service's HTTP endpoints: handlers of `TinkerApi` over
 * `TinkerService`. Serve them with `Node`, call them without a
 * socket with `InProcessHttpClient`, or build them into a server of one's own with `HttpApiBuilder.serve`.
 *
 * Whatever is wrong with a request is answered with 4xx and a JSON body `{ detail }`: 422 for a body that is not JSON or
 * not of the endpoint's form, with the path to the field at fault; 415 for one of another type; 401 for a missing or
 * wrong key; 404 for a path that does not exist.
 *
 * @since 0.1.0
 */
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Training from "@effect-tinker/api/Training"
import * as Weights from "@effect-tinker/api/Weights"
import * as Zstd from "@effect-tinker/api/Zstd"
import type * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"
import type * as CheckpointStore from "./CheckpointStore.ts"
import type * as Engine from "./Engine.ts"
import * as apiErrors from "./internal/http/apiErrors.ts"
import * as apiKeys from "./internal/auth/apiKeys.ts"
import * as bodies from "./internal/http/bodies.ts"
import * as currentUser from "./internal/auth/currentUser.ts"
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as downloads from "./internal/checkpoints/downloads.ts"
import * as operations from "./internal/http/operationHandlers.ts"
import * as rest from "./internal/http/restHandlers.ts"
import * as uploads from "./internal/checkpoints/uploads.ts"
import * as TinkerService from "./TinkerService.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends TinkerService.Options {
  /**
   * `X-API-Key` must be one of these. Each is a user: what one makes, the others neither see nor change, but for
   * checkpoints that are published, which all may read. Without keys every request is allowed, and sees everything.
   */
  readonly apiKeys?: ReadonlyArray<Redacted.Redacted<string>> | undefined
  /**
   * keys are exchanged for tokens that live so long (`pjwt_auth_enabled`); by default there are none. Keys work all the
   * same
   */
  readonly tokenLifetime?: Duration.DurationInput | undefined
  /** bytes of a body that is compressed with zstd; 64 MiB */
  readonly maxCompressedSize?: number | undefined
  /** bytes of what such a body holds; 256 MiB */
  readonly maxDecompressedSize?: number | undefined
}

const service = (tokens: boolean) =>
  HttpApiBuilder.group(TinkerApi, "service", (handlers) =>
    Effect.map(TinkerService.TinkerService, (tinker) =>
      handlers
        .handle("clientConfig", () =>
          Effect.succeed({ ...tinker.clientConfig, ...(tokens ? { pjwt_auth_enabled: true } : {}) })
        )
        .handle("healthz", () => Effect.succeed({ status: "ok" as const }))
        .handle("getServerCapabilities", () => Effect.succeed(tinker.capabilities))
        .handle("createSession", ({ payload }) => tinker.createSession(payload))
        .handle("sessionHeartbeat", ({ payload }) =>
          Effect.as(tinker.sessionHeartbeat(payload.session_id), { type: "session_heartbeat" })
        )
    )
  )

const models = HttpApiBuilder.group(TinkerApi, "models", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers
      .handle("createModel", ({ payload }) => tinker.createModel(payload))
      .handle("getInfo", ({ payload }) => tinker.getInfo(payload.model_id))
  )
)

/** A pass in either of its forms. */
const readPass = (request: HttpServerRequest.HttpServerRequest) =>
  ProtobufCodec.isProtobuf(request.headers["content-type"])
    ? request.arrayBuffer.pipe(
        Effect.flatMap((buffer) => ProtobufCodec.decodeForwardBackwardRequest(new Uint8Array(buffer))),
        Effect.orDie
      )
    : Effect.map(
        bodies.read(request, () => Training.ForwardBackwardRequest),
        (pass) => ({ ...pass, forward_only: false })
      )

// of two forms, the one that the body means says what is wrong with it
const stepOf = (body: object): Schema.Schema<typeof Training.AnyOptimStepRequest.Type, unknown> =>
  ("optimizer_params" in body ? Training.OptimizerStepRequest : Training.OptimStepRequest) as never

const loadOf = (body: object): Schema.Schema<typeof Weights.AnyLoadWeightsRequest.Type, unknown> =>
  ("session_id" in body && !("model_id" in body)
    ? Weights.CreateFromWeightsRequest
    : Weights.LoadWeightsRequest) as never

const training = (keys: Effect.Effect<apiKeys.ApiKeys>) =>
  HttpApiBuilder.group(TinkerApi, "training", (handlers) =>
    Effect.map(Effect.all([TinkerService.TinkerService, keys]), ([tinker, { withAccess }]) =>
      handlers
        .handleRaw("forwardBackward", ({ request }) =>
          Effect.flatMap(readPass(request), ({ forward_only, ...pass }) =>
            forward_only
              ? tinker.forward({ ...pass, forward_input: pass.forward_backward_input })
              : tinker.forwardBackward(pass)
          )
        )
        .handle("forward", ({ payload }) => tinker.forward(payload))
        .handleRaw("optimStep", ({ request }) => Effect.flatMap(bodies.read(request, stepOf), tinker.optimStep))
        .handle("saveWeights", ({ payload }) => tinker.saveWeights(payload))
        .handle("saveWeightsForSampler", ({ payload }) => tinker.saveWeightsForSampler(payload))
        .handleRaw("loadWeights", ({ request }) =>
          Effect.flatMap(bodies.read(request, loadOf), (payload) =>
            withAccess(tinker.loadWeights(payload), payload.weights_access_token)
          )
        )
    )
  )

const sampling = HttpApiBuilder.group(TinkerApi, "sampling", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers
      .handle("createSamplingSession", ({ payload }) =>
        Effect.map(tinker.createSamplingSession(payload), (sampling_session_id) => ({ sampling_session_id }))
      )
      .handle("asample", ({ payload }) => tinker.sample(payload))
  )
)

const formOf = ({ headers }: HttpServerRequest.HttpServerRequest) =>
  ProtobufCodec.isProtobuf(headers["accept"]) ? "protobuf" : "json"

const json = (body: unknown) => HttpServerResponse.unsafeJson(body)

const futures = HttpApiBuilder.group(TinkerApi, "futures", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers.handle("retrieveFuture", ({ payload, request }) =>
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
              contentType: found.format === "json" ? "application/json" : ProtobufCodec.contentType
            })
        }
      })
    )
  )
)

const unauthorized = (key: string | undefined) => {
  const token = key?.startsWith("eyJ") === true
  const response = apiErrors.toResponse({
    status: 401,
    detail: token ? "the token in X-API-Key is wrong, or has expired" : "the key in X-API-Key is missing or wrong",
    tag: "UnauthorizedResponse"
  })
  // by this clients know that another token helps
  return token ? HttpServerResponse.setHeader(response, "www-authenticate", 'Bearer error="invalid_token"') : response
}

/** The number of an operation whose body could not be decoded is used up all the same. */
const burn = (tinker: TinkerService.Service, request: HttpServerRequest.HttpServerRequest, detail: string) =>
  Effect.matchEffect(ProtobufCodec.isProtobuf(request.headers["content-type"]) ? Effect.void : request.json, {
    onFailure: () => Effect.void,
    onSuccess: (body) =>
      typeof body === "object" && body !== null && "model_id" in body && "seq_id" in body
        ? tinker.rejectMalformed(body, detail)
        : Effect.void
  })

/** Whether to ask again, and when. */
const withHints = (response: HttpServerResponse.HttpServerResponse) => {
  switch (response.status) {
    // clients believe that a conflict passes: those of this service do not
    case 409:
      return HttpServerResponse.setHeader(response, "x-should-retry", "false")
    case 429:
      return HttpServerResponse.setHeader(response, "retry-after", "1")
    default:
      return response
  }
}

interface Guards {
  readonly tinker: TinkerService.Service
  readonly zstd: Zstd.Service
  readonly keys: apiKeys.ApiKeys
  readonly limits: { readonly compressed: number; readonly decompressed: number }
}

const guard =
  ({ keys, limits, tinker, zstd }: Guards) =>
  (app: HttpApp.Default): HttpApp.Default => {
    const run = (request: HttpServerRequest.HttpServerRequest) =>
      app.pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, request),
        Effect.catchAllCause((cause) => {
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
        }),
        Effect.map(withHints)
      )
    return Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const key = request.headers["x-api-key"]
      const signed = downloads.isDownload(request) || uploads.isUpload(request)
      const user = signed ? currentUser.everyone : yield* keys.identify(key)
      if (user === undefined) return unauthorized(key)
      return yield* Effect.matchEffect(bodies.plain(zstd, request, limits), {
        onFailure: (answer) => Effect.succeed(apiErrors.toResponse(answer)),
        onSuccess: run
      }).pipe(Effect.provideService(currentUser.CurrentUser, user))
    })
  }

/**
 * Who may ask, and how much at a time.
 *
 * @since 0.1.0
 * @category models
 */
export type HandlerOptions = Pick<Options, "apiKeys" | "tokenLifetime" | "maxCompressedSize" | "maxDecompressedSize">

/**
 * The endpoints over a `TinkerService` that is there already.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerHandlers = (
  options: HandlerOptions = {}
): Layer.Layer<HttpApi.Api, never, TinkerService.TinkerService> => {
  const keys = apiKeys.make(options.apiKeys ?? [], options.tokenLifetime)
  return Layer.merge(
    HttpApiBuilder.api(TinkerApi).pipe(
      Layer.provide([service(options.tokenLifetime !== undefined), models, training(keys), sampling, futures]),
      Layer.provide([...operations.layers(keys)]),
      Layer.provide(uploads.layer(options.apiKeys ?? [])),
      Layer.provide([...rest.layers(downloads.make(options.apiKeys ?? []))])
    ),
    HttpApiBuilder.middleware(
      Effect.map(Effect.all([TinkerService.TinkerService, Zstd.make, keys]), ([tinker, zstd, keys]) =>
        guard({
          tinker,
          zstd,
          keys,
          limits: {
            compressed: options.maxCompressedSize ?? 64 * 1024 * 1024,
            decompressed: options.maxDecompressedSize ?? Zstd.maxBytes
          }
        })
      )
    )
  )
}

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
