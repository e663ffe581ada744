/** A training program that can be split into two runs: each step depends on its number only. */
import * as Datum from "@effect-tinker/api/Datum"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { fileURLToPath } from "node:url"
import * as Embedded from "@effect-tinker/embedded/Embedded"

const base_model = "test/tiny"
const directory = fileURLToPath(new URL("../../../engine/test/fixtures/tiny-qwen3", import.meta.url))

/** The number of steps before the state is saved. */
export const stepsBeforeSave = 3

/** The embedded service with a tiny model and a directory of checkpoints. */
export const layer = (checkpoints: string) =>
  Embedded.layerServiceClient({ checkpoints, models: [{ name: base_model, directory }] })

export const start = Effect.flatMap(ServiceClient.ServiceClient, (client) =>
  client.createLoraTrainingClient({ base_model, rank: 4, seed: 3 })
)

export const resume = (path: string) =>
  Effect.flatMap(ServiceClient.ServiceClient, (client) => client.createTrainingClientFromStateWithOptimizer(path))

/** Trains one step. Succeeds with the logprobs of its targets. */
export const step = (model: TrainingClient.TrainingClient, step: number) =>
  Effect.gen(function* () {
    const tokens = Array.from({ length: 12 }, (_, i) => (i * 29 + step * 7) % 259)
    const data = [Datum.fromPromptCompletion(tokens.slice(0, 4), tokens.slice(4))]
    const forward = yield* model.forwardBackward(data, "cross_entropy")
    const update = yield* model.optimStep({ learning_rate: 1e-2, weight_decay: 0.1, grad_clip_norm: 1 })
    const [output] = yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
    return output.loss_fn_outputs[0]!["logprobs"]!.data
  })
