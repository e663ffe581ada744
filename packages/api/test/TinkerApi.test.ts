import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as OpenApi from "@effect/platform/OpenApi"
import { assert, describe, it } from "@effect/vitest"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"

const endpoints = Object.entries(OpenApi.fromApi(TinkerApi.TinkerApi).paths).flatMap(([path, methods]) =>
  Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`)
)

const checkpoint = "/api/v1/training_runs/:training_run_id/checkpoints/:kind/:name"

const expected = [
  "POST /api/v1/client/config",
  "POST /api/v1/client/dynamic_config",
  "POST /api/v1/auth/token",
  "GET /api/v1/auth/apikey/me",
  "DELETE /api/v1/auth/apikey/me",
  "GET /api/v1/healthz",
  "GET /api/v1/get_server_capabilities",
  "POST /api/v1/create_session",
  "POST /api/v1/session_heartbeat",
  "POST /api/v1/telemetry",
  "POST /api/v1/create_model",
  "POST /api/v1/get_info",
  "POST /api/v1/unload_model",
  "POST /api/v1/forward_backward",
  "POST /api/v1/forward",
  "POST /api/v1/optim_step",
  "POST /api/v1/create_custom_loss",
  "POST /api/v1/save_weights",
  "POST /api/v1/save_weights_for_sampler",
  "POST /api/v1/save_weights_external",
  "POST /api/v1/load_weights",
  "POST /api/v1/copy_weights",
  "POST /api/v1/weights_info",
  "POST /api/v1/external_weights_upload_start",
  "POST /api/v1/external_weights_upload_finish",
  "POST /api/v1/create_sampling_session",
  "POST /api/v1/join_sampling_session",
  "GET /api/v1/samplers/:sampler_id",
  "POST /api/v1/asample",
  "POST /api/v1/retrieve_future",
  "POST /api/v1/retrieve_futures",
  "POST /api/v1/cancel_future",
  "GET /api/v1/training_runs",
  "GET /api/v1/training_runs/:training_run_id",
  "GET /api/v1/training_runs/:training_run_id/checkpoints",
  "GET /api/v1/checkpoints",
  "POST /api/v1/checkpoints/search",
  `DELETE ${checkpoint}`,
  `POST ${checkpoint}/publish`,
  `DELETE ${checkpoint}/publish`,
  `PUT ${checkpoint}/ttl`,
  `GET ${checkpoint}/archive`,
  `GET ${checkpoint}/external_weights_urls`,
  "GET /api/v1/sessions",
  "POST /api/v1/sessions/search",
  "GET /api/v1/sessions/:session_id",
  "POST /api/v1/sessions/:session_id/finish",
  "PUT /api/v1/sessions/:session_id/project",
  "GET /api/v1/sessions/:session_id/trace_export",
  "GET /api/v1/audit",
  "GET /api/v1/billing/usage/events",
  "GET /api/v1/billing/usage/checkpoints/current"
]

/** An HttpClient that records its requests and responds to all of them with the same body. */
const recording = (requests: Array<HttpClientRequest.HttpClientRequest>, body: unknown) =>
  HttpClient.make((request) => {
    requests.push(request)
    return Effect.succeed(
      HttpClientResponse.fromWeb(
        request,
        body === undefined
          ? new Response(null, { status: 204 })
          : new Response(JSON.stringify(body), { headers: { "content-type": "application/json" } })
      )
    )
  })

describe("TinkerApi", () => {
  it("has every endpoint of the wire exactly once", () => {
    assert.deepStrictEqual(endpoints.toSorted(), expected.toSorted())
  })

  it.effect("does not escape ids in paths, and writes the id of a checkpoint as two segments", () =>
    Effect.gen(function* () {
      const requests: Array<HttpClientRequest.HttpClientRequest> = []
      const client = yield* HttpApiClient.makeWith(TinkerApi.TinkerApi, {
        httpClient: recording(requests, undefined),
        baseUrl: "http://127.0.0.1"
      })
      yield* client.checkpoints.setCheckpointTtl({
        path: { training_run_id: "s:train:0", kind: "sampler_weights", name: "a" },
        payload: { ttl_seconds: null }
      })
      assert.strictEqual(
        requests[0]!.url,
        "http://127.0.0.1/api/v1/training_runs/s:train:0/checkpoints/sampler_weights/a/ttl"
      )
    })
  )

  it.effect("decodes a page of training runs", () =>
    Effect.gen(function* () {
      const requests: Array<HttpClientRequest.HttpClientRequest> = []
      const run = {
        training_run_id: "s:train:0",
        base_model: "m",
        model_owner: "o",
        is_lora: true,
        last_request_time: "2026-01-01T00:00:00.5",
        lora_rank: null,
        user_metadata: null,
        new_field: 1
      }
      const client = yield* HttpApiClient.makeWith(TinkerApi.TinkerApi, {
        httpClient: recording(requests, { training_runs: [run], cursor: { offset: 0, limit: 20, total_count: 1 } }),
        baseUrl: "http://127.0.0.1"
      })
      const page = yield* client.trainingRuns.listTrainingRuns({ urlParams: { limit: 20, access_scope: "accessible" } })
      const { last_request_time, ...rest } = page.training_runs[0]!
      assert.strictEqual(DateTime.formatIso(last_request_time!), "2026-01-01T00:00:00.500Z")
      assert.deepStrictEqual(rest, {
        training_run_id: "s:train:0",
        base_model: "m",
        model_owner: "o",
        is_lora: true,
        corrupted: false
      })
      assert.deepStrictEqual([...requests[0]!.urlParams].map(([key, value]) => `${key}=${value}`).toSorted(), [
        "access_scope=accessible",
        "limit=20"
      ])
    })
  )
})
