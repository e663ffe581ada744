/** Runs programs over a training client whose service is scripted. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import type * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import { Effect, Fiber, type Scope, TestClock } from "effect"
import { bodyOf } from "./exits.ts"
import { connect, json, scripted } from "./services.ts"

type Steps = ScriptedHttpClient.Step | ReadonlyArray<ScriptedHttpClient.Step>
export type Http = ScriptedHttpClient.ScriptedHttpClient

/** A response with an error status. */
export const errorResponse = (status: number, headers = {}, body: unknown = { detail: "no" }) =>
  json(body, { status, headers })

const output = (seqId: unknown) => ({
  loss_fn_output_type: "ArrayRecord",
  loss_fn_outputs: [{ logprobs: { data: [-Number(seqId)], dtype: "float32", shape: [1] } }],
  metrics: { "loss:sum": 1 }
})

/** The result of each operation, by its request id. */
export const results: ScriptedHttpClient.Step = (request) => {
  const id = String(bodyOf(request)["request_id"])
  if (id === "CreateModel") return json({ model_id: "model-1" })
  if (id.startsWith("ForwardBackward")) return json(output(id.split(":")[1]))
  if (id === "SaveWeights") return json({ path: "tinker://model-1/weights/a" })
  if (id === "SaveWeightsForSampler") return json({ path: "tinker://model-1/sampler_weights/a" })
  return json({ metrics: {} })
}

/** Runs a program with a new training client, and returns its value and the service. */
export const run = <A, E>(
  overrides: Record<string, Steps>,
  program: (training: TrainingClient.TrainingClient, http: Http) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.gen(function* () {
    const http = yield* scripted.make({ "/retrieve_future": results, ...overrides })
    const value = yield* Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      return yield* program(yield* service.createLoraTrainingClient({ base_model: "base" }), http)
    }).pipe(Effect.scoped, Effect.provide(connect(http)))
    return { http, value }
  }).pipe(Effect.scoped)

/** The exit of a future after some time. */
export const settle = <A, E>(
  future: Fiber.Fiber<A, E>,
  time: `${number} minutes` | `${number} seconds` = "6 minutes"
) => Effect.flatMap(TestClock.adjust(time), () => Fiber.await(future))

/** The sequence numbers of the requests to an endpoint, in the order of their arrival. */
export const seqIds = (http: Http, path: string) =>
  Effect.map(http.requestsTo(path), (requests) => requests.map((request) => bodyOf(request)["seq_id"]))
