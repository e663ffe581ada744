/** Requests of tests to a service over a test engine, whose responses are not typed. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"

// tests check the fields that they expect
export type Json = any // eslint-disable-line typescript/no-explicit-any

const base = "http://tinker.test/api/v1"

const send = (request: HttpClientRequest.HttpClientRequest) =>
  Effect.gen(function* () {
    const response = yield* HttpClient.execute(request)
    const text = yield* response.text
    const body: Json = text === "" ? undefined : JSON.parse(text)
    return { status: response.status, body }
  }).pipe(Effect.orDie)

export const get = (path: string) => send(HttpClientRequest.get(`${base}${path}`))
export const del = (path: string) => send(HttpClientRequest.del(`${base}${path}`))
export const put = (path: string, body: Json) =>
  send(HttpClientRequest.put(`${base}${path}`).pipe(HttpClientRequest.bodyUnsafeJson(body)))
export const post = (path: string, body: Json) =>
  send(HttpClientRequest.post(`${base}${path}`).pipe(HttpClientRequest.bodyUnsafeJson(body)))

/** The body of a response that is a success. */
export const ok = <R>(response: Effect.Effect<{ readonly status: number; readonly body: Json }, never, R>) =>
  Effect.flatMap(response, ({ body, status }) =>
    status < 300 ? Effect.succeed(body) : Effect.die(new Error(`${status}: ${JSON.stringify(body)}`))
  )

/** Submits an operation, and returns its result. */
export const run = (path: string, body: Json): Effect.Effect<Json, never, HttpClient.HttpClient> =>
  Effect.flatMap(ok(post(path, body)), ({ request_id }) =>
    ok(post("/retrieve_future", { request_id, allow_metadata_only: false }))
  )

export const createSession = ok(
  post("/create_session", { tags: [], user_metadata: { suite: "restart" }, sdk_version: "test", display_name: "d" })
)

const datum = {
  model_input: { chunks: [{ type: "encoded_text", tokens: [1, 2] }] },
  loss_fn_inputs: {
    target_tokens: { data: [2, 3], dtype: "int64", shape: [2] },
    weights: { data: [1, 1], dtype: "float32", shape: [2] }
  }
}

export const createModel = (session_id: string, model_seq_id: number) =>
  run("/create_model", {
    session_id,
    model_seq_id,
    base_model: "effect-tinker/test",
    user_metadata: { run: "one" },
    type: "create_model"
  })

export const pass = (model_id: string, seq_id: number) =>
  run("/forward_backward", { model_id, seq_id, forward_backward_input: { data: [datum], loss_fn: "cross_entropy" } })

export const step = (model_id: string, seq_id: number) =>
  run("/optim_step", { model_id, seq_id, adam_params: { learning_rate: 0.1 } })

export const sample = (sampling_session_id: string, seq_id: number) => ({
  sampling_session_id,
  seq_id,
  num_samples: 1,
  prompt: { chunks: [{ type: "encoded_text", tokens: [1, 2] }] },
  sampling_params: { max_tokens: 3, temperature: 0, seed: 1 },
  type: "sample"
})

export const adapterName = "adapter_model.safetensors"
export const configName = "adapter_config.json"

/** The content at a signed URL. */
export const readFile = (url: string) =>
  Effect.orDie(Effect.flatMap(HttpClient.get(url), ({ arrayBuffer }) => arrayBuffer)).pipe(
    Effect.map((content) => new Uint8Array(content))
  )

/** Sends content to a signed URL, and returns the status. */
export const putFile = (url: string, content: Uint8Array) =>
  HttpClient.execute(
    HttpClientRequest.put(url).pipe(HttpClientRequest.bodyUint8Array(content, "application/octet-stream"))
  ).pipe(
    Effect.map(({ status }) => status),
    Effect.orDie
  )

/** The files of the adapter of a new model, as PEFT loads them. */
export const saveFiles = (model_id: string, seq_id: number) =>
  Effect.gen(function* () {
    yield* run("/save_weights_external", { model_id, seq_id, path: "out" })
    const { urls } = yield* ok(get(`/training_runs/${model_id}/checkpoints/external_weights/out/external_weights_urls`))
    return { adapter: yield* readFile(urls[adapterName]), config: yield* readFile(urls[configName]) }
  })

export const startUpload = post("/external_weights_upload_start", {
  base_model: "effect-tinker/test",
  lora_config: { rank: 32, train_attn: true, train_mlp: true, train_unembed: true }
})

export const finishUpload = (upload_id: string) => post("/external_weights_upload_finish", { upload_id })
