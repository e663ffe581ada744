/**
 * Samples from a model in the service of this process, with the engine in a thread: 64 requests of one sequence beside 4
 * requests of 16, and the same 64 requests over 4 checkpoints. A request should not cost more for being one of many.
 *
 * The model is the shipped one, or that in the directory BATCHING_MODEL.
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as NodeWorkerEngine from "@effect-tinker/engine/NodeWorkerEngine"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as Store from "@effect-tinker/server/Store"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { figure } from "./figure.ts"

const repetitions = 5
const sampled = 96

const prompts = Array.from({ length: 4 }, (_, i) =>
  ModelInput.fromTokens(Array.from({ length: 24 }, (_, j) => 3 + ((i * 31 + j * 7) % 250)))
)

type Samplers = ReadonlyArray<SamplingClient.SamplingClient>

/** The seconds that so many requests of so many sequences take, all at once. */
const time = (samplers: Samplers, requests: number, num_samples: number, round: number) =>
  Effect.gen(function* () {
    const start = performance.now()
    yield* Effect.forEach(
      Array.from({ length: requests }, (_, i) => i),
      (i) =>
        samplers[i % samplers.length]!.sample(prompts[i % prompts.length]!, {
          num_samples,
          sampling_params: { max_tokens: sampled, temperature: 1, seed: 1000 * round + i, stop: [] }
        }),
      { concurrency: "unbounded" }
    )
    return (performance.now() - start) / 1000
  })

const median = (values: ReadonlyArray<number>): number =>
  values.slice().sort((a, b) => a - b)[Math.floor(values.length / 2)]!

/** Samplers of so many checkpoints, each of which has learnt something. */
const trainSamplers = (service: ServiceClient.Service, base_model: string, count: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, i) => i),
    (i) =>
      Effect.gen(function* () {
        const training = yield* service.createLoraTrainingClient({ base_model, rank: 16 })
        const datum = Datum.fromPromptCompletion([5, 6, 7], [8 + i, 9, 10])
        yield* Fiber.join(yield* training.forwardBackward([datum], "cross_entropy"))
        yield* Fiber.join(yield* training.optimStep({ learning_rate: 1e-3 }))
        return yield* training.saveWeightsAndGetSamplingClient()
      })
  )

const measure = (print: (line: string) => void, base_model: string) =>
  Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    const base = [yield* service.createSamplingClient({ base_model })]
    const trained = yield* trainSamplers(service, base_model, 4)
    const cases = [
      ["requests-4x16", base, 4, 16],
      ["requests-64x1", base, 64, 1],
      ["checkpoints-4.requests-64x1", trained, 64, 1],
      ["requests-1x1", base, 1, 1]
    ] as const
    const times = new Map<string, Array<number>>(cases.map(([name]) => [name, []]))
    for (let round = 0; round <= repetitions; round++) {
      for (const [name, samplers, requests, sequences] of cases) {
        const seconds = yield* time(samplers, requests, sequences, round)
        // the first round also compiles
        if (round > 0) times.get(name)!.push(seconds)
      }
    }
    const baseline = { name: "requests-4x16", value: median(times.get("requests-4x16")!) }
    for (const [name] of cases) print(figure(`batching.${name}`, median(times.get(name)!), "s", baseline))
  })

export default async (print: (line: string) => void = console.log): Promise<void> => {
  const directory = process.env["BATCHING_MODEL"]
  const models = directory === undefined ? [] : [{ name: "bench/model", directory }]
  const service = ServiceClient.layer({ apiKey: Redacted.make("tml-bench"), baseUrl: "http://bench.invalid" }).pipe(
    Layer.provide(InProcessHttpClient.layer()),
    Layer.provide([NodeWorkerEngine.layer({ models }), CheckpointStore.layerMemory, Store.layerMemory]),
    Layer.provide(NodeContext.layer)
  )
  await Effect.runPromise(
    measure(print, directory === undefined ? JaxEngine.nano : "bench/model").pipe(
      Effect.provide(service),
      Effect.scoped
    )
  )
}
