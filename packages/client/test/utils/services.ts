/** Test services, scripted or embedded, and sessions with them. */
import { prefix } from "@effect-tinker/api/TinkerApi"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { Effect, Layer, Redacted, type Scope } from "effect"
import { bodyOf } from "./exits.ts"
import { withCallbackExchange } from "./callbackExchange.ts"

export const { json } = ScriptedHttpClient

export interface TestService {
  readonly name: string
  readonly baseModel: string
  readonly make: (
    overrides?: Record<string, ScriptedHttpClient.Step | ReadonlyArray<ScriptedHttpClient.Step>>
  ) => Effect.Effect<ScriptedHttpClient.ScriptedHttpClient, never, Scope.Scope>
}

/** Completes every operation at once; the request id names its result. */
const script = {
  "/client/config": json({}),
  "/create_session": json({ session_id: "session-1", type: "create_session" }),
  "/session_heartbeat": json({ type: "session_heartbeat" }),
  "/get_server_capabilities": json({ supported_models: [{ model_name: "base", max_context_length: 64 }] }),
  "/create_model": json({ request_id: "CreateModel" }),
  "/forward_backward": (request) => json({ request_id: `ForwardBackward:${bodyOf(request)["seq_id"]}` }),
  "/forward": (request) => json({ request_id: `ForwardBackward:${bodyOf(request)["seq_id"]}` }),
  "/optim_step": json({ request_id: "OptimStep" }),
  "/save_weights": json({ request_id: "SaveWeights" }),
  "/save_weights_for_sampler": json({ request_id: "SaveWeightsForSampler" }),
  "/asample": json({ request_id: "Sample" }),
  "/retrieve_future": (request) => json(results[bodyOf(request)["request_id"] as string])
} satisfies Record<string, ScriptedHttpClient.Step>

const output = (values: ReadonlyArray<number>, metrics: Record<string, number>) => ({
  loss_fn_output_type: "ArrayRecord",
  loss_fn_outputs: values.map((value) => ({ logprobs: { data: [value], dtype: "float32", shape: [1] } })),
  metrics
})

const results: Record<string, unknown> = {
  CreateModel: { model_id: "model-1", type: "create_model" },
  "ForwardBackward:1": output([-1], { "loss:mean": 1, "grad:sum": 10 }),
  "ForwardBackward:2": output([-2, -3, -4], { "loss:mean": 3, "grad:sum": 20 }),
  OptimStep: { metrics: null },
  SaveWeights: { path: "tinker://model-1/weights/first", type: "save_weights" },
  LoadWeights: { path: "tinker://run/weights/a", type: "load_weights" },
  SaveWeightsForSampler: { path: "tinker://model-1/sampler_weights/first", type: "save_weights_for_sampler" },
  Sample: { sequences: [{ stop_reason: "stop", tokens: [7], logprobs: [-0.5] }] }
}

export const scripted: TestService = {
  name: "a scripted service",
  baseModel: "base",
  make: (overrides) => ScriptedHttpClient.make({ ...script, ...overrides })
}

/** Forwards requests as a gateway does that serves the contract below another path. */
export const forwardTo =
  (client: HttpClient.HttpClient): ScriptedHttpClient.Step =>
  (recorded) =>
    client
      .execute(
        HttpClientRequest.make(recorded.method as "GET" | "POST")(`http://service.test${prefix}${recorded.path}`).pipe(
          HttpClientRequest.setHeaders(recorded.headers as Record<string, string>),
          recorded.body === undefined
            ? (request) => request
            : HttpClientRequest.bodyUint8Array(recorded.bytes, recorded.headers["content-type"])
        )
      )
      .pipe(
        Effect.flatMap((response) =>
          Effect.map(response.arrayBuffer, (body) =>
            ScriptedHttpClient.bytes(new Uint8Array(body), { status: response.status, headers: response.headers })
          )
        ),
        Effect.orDie
      )

/** The real service over the engine double, behind the same recorder. */
export const embedded: TestService = {
  name: "the embedded service",
  baseModel: TestEngine.baseModel,
  make: (overrides) =>
    Effect.flatMap(TestServer.make(), ({ client }) => ScriptedHttpClient.make({ ...overrides, "*": forwardTo(client) }))
}

export const key = "tml-integration-key"
export const baseUrl = "http://service.test/base/path"

/** A session with a test's service. */
export const connect = (
  http: { readonly layer: Layer.Layer<HttpClient.HttpClient> },
  options: { key?: string; baseUrl?: string; way?: Way; httpSpans?: boolean } = {}
) =>
  ServiceClient.layer({
    apiKey: Redacted.make(options.key ?? key),
    baseUrl: options.baseUrl ?? baseUrl,
    httpSpans: options.httpSpans
  }).pipe(Layer.provide(over(options.way ?? "any HttpClient", http.layer)))

/** What sends the requests: the adapter over an HttpClient, or an exchange that calls back outside of the fiber. */
export type Way = "any HttpClient" | "an exchange of callbacks"
export const ways: ReadonlyArray<Way> = ["any HttpClient", "an exchange of callbacks"]

export const over = (way: Way, layer: Layer.Layer<HttpClient.HttpClient>): Layer.Layer<HttpClient.HttpClient> =>
  way === "any HttpClient"
    ? layer
    : Layer.provide(
        Layer.effect(HttpClient.HttpClient, Effect.flatMap(HttpClient.HttpClient, withCallbackExchange)),
        layer
      )

export const bodies = (http: ScriptedHttpClient.ScriptedHttpClient, path: string) =>
  Effect.map(http.requestsTo(path), (requests) => requests.map(bodyOf))
