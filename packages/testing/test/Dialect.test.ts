import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Training from "@effect-tinker/api/Training"
import * as CheckpointDownload from "@effect-tinker/client/CheckpointDownload"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Fiber, Layer, Option, Redacted, Scope } from "effect"
import * as Dialect from "../src/Dialect.ts"
import * as TestEngine from "../src/TestEngine.ts"
import * as TestServer from "../src/TestServer.ts"

const options = { apiKey: Redacted.make("tml-test"), baseUrl: "http://service.test" }
const data = [Datum.fromPromptCompletion([1, 2, 3], [4, 5]), Datum.fromPromptCompletion([1, 2], [4])]
const prompt = ModelInput.fromTokens([1, 2, 3])

/** One step, and its loss. */
const step = (training: TrainingClient.TrainingClient) =>
  Effect.gen(function* () {
    const forward = yield* training.forwardBackward(data, "cross_entropy")
    const update = yield* training.optimStep({ learning_rate: 0.1 })
    const [output] = yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
    return Option.getOrThrow(Training.lossSum(output, data, "cross_entropy"))
  })

/** Trains, saves, samples, looks up, downloads, resumes and deletes. */
const program = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const rest = yield* RestClient.RestClient
  const fs = yield* FileSystem.FileSystem
  const [{ model_name } = { model_name: "" }] = (yield* service.getServerCapabilities).supported_models
  const training = yield* service.createLoraTrainingClient({ base_model: model_name!, rank: 4, seed: 1 })
  yield* training.getInfo
  const before = yield* Fiber.join(yield* training.forward(data, "cross_entropy"))
  const losses = [yield* step(training), yield* step(training)]
  const state = yield* Fiber.join(yield* training.saveState("state"))
  const weights = yield* Fiber.join(yield* training.saveWeightsForSampler("weights"))
  const sampler = yield* service.createSamplingClient({ model_path: weights.path })
  const sampled = yield* sampler.sample(prompt, { sampling_params: { max_tokens: 8, stop: "\n", temperature: 0 } })
  const base = yield* service.createSamplingClient({ base_model: model_name! })
  yield* base.sample(prompt, { sampling_params: { max_tokens: 1 } })
  const ofRun = yield* rest.listCheckpoints(training.modelId)
  const all = yield* Effect.either(rest.listUserCheckpoints())
  const parent = yield* fs.makeTempDirectoryScoped()
  const download = yield* Effect.either(CheckpointDownload.download(weights.path, { directory: `${parent}/weights` }))
  const resumed = yield* service.createTrainingClientFromStateWithOptimizer(state.path)
  losses.push(yield* step(resumed))
  yield* rest.deleteCheckpoint(state.path)
  return {
    model_name,
    forwardLoss: Option.getOrThrow(Training.lossSum(before, data, "cross_entropy")),
    losses,
    tokens: Array.from(sampled.sequences[0]!.tokens),
    listed: ofRun.checkpoints.map(({ checkpoint_type }) => checkpoint_type),
    all: Either.map(all, ({ checkpoints }) => checkpoints.length),
    download: Either.map(download, ({ files }) => files.map(({ name }) => name))
  }
})

/** Runs the program on a server, and counts the operations of its engine. */
const runOn = (make: Effect.Effect<TestServer.TestServer, never, never>) =>
  Effect.gen(function* () {
    const server = yield* make
    const result = yield* program.pipe(
      Effect.scoped,
      Effect.provide(
        Layer.mergeAll(ServiceClient.layer(options), RestClient.layer(options)).pipe(
          Layer.provideMerge(server.layer),
          Layer.provideMerge(NodeContext.layer)
        )
      )
    )
    const names = (yield* server.engine.operations).map(({ name }) => name)
    return { ...result, steps: names.filter((name) => name === "optimStep").length }
  })

const expected = Effect.flatMap(Effect.scope, (scope) =>
  runOn(Effect.provideService(TestServer.make(), Scope.Scope, scope))
)

const onDialect = ({ make }: Dialect.Dialect) =>
  Effect.flatMap(Effect.scope, (scope) => runOn(Effect.provideService(make(), Scope.Scope, scope)))

describe("the program of a client", () => {
  for (const dialect of [Dialect.skyrl, Dialect.tuft, Dialect.hatchery]) {
    it.scopedLive(`has the losses and samples of the service on ${dialect.name}`, () =>
      Effect.gen(function* () {
        const [reference, found] = [yield* expected, yield* onDialect(dialect)]
        assert.strictEqual(found.model_name, TestEngine.baseModel)
        assert.closeTo(found.forwardLoss, reference.forwardLoss, 1e-4)
        found.losses.forEach((loss, i) => assert.closeTo(loss, reference.losses[i]!, 1e-4))
        assert.deepStrictEqual([found.tokens, found.steps], [reference.tokens, reference.steps])
      })
    )
  }

  it.scopedLive("finds on each server what that server has", () =>
    Effect.gen(function* () {
      const skyrl = yield* onDialect(Dialect.skyrl)
      assert.sameMembers(skyrl.listed, ["training", "sampler"])
      assert.deepStrictEqual(skyrl.all, Either.right(2))
      assert.includeMembers(Either.getOrThrow(skyrl.download).slice(), ["adapter_model.safetensors"])

      const tuft = yield* onDialect(Dialect.tuft)
      assert.deepStrictEqual(tuft.all, Either.right(2))
      assert.include(Option.getOrThrow(Either.getLeft(tuft.download)).message, "file:///var/tuft/checkpoints/")

      const hatchery = yield* onDialect(Dialect.hatchery)
      assert.deepStrictEqual(hatchery.listed, ["training"])
      assert.include(Option.getOrThrow(Either.getLeft(hatchery.all)).message, "of one run")
      assert.strictEqual(Option.getOrThrow(Either.getLeft(hatchery.download))._tag, "NotFound")
    })
  )
})

describe("a double", () => {
  it.scopedLive("rejects what its server rejects, with the server's words", () =>
    Effect.gen(function* () {
      const failures: Array<string> = []
      for (const dialect of [Dialect.skyrl, Dialect.hatchery]) {
        const { layer } = yield* dialect.make()
        const error = yield* Effect.gen(function* () {
          const service = yield* ServiceClient.ServiceClient
          const training = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 4 })
          const pass = yield* training.forwardBackward(data as never, "no_such_loss" as never)
          return yield* Effect.flip(Fiber.join(pass))
        }).pipe(Effect.scoped, Effect.provide(ServiceClient.layer(options).pipe(Layer.provide(layer))))
        failures.push(String(error))
      }
      assert.include(failures[0], "unknown loss no_such_loss")
      assert.include(failures[1], "unknown loss_fn 'no_such_loss'")
    })
  )

  it.scopedLive("of hatchery fails the creation of a sampler whose weights it lacks, within seconds", () =>
    Effect.gen(function* () {
      const server = yield* Dialect.hatchery.make()
      const error = yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const training = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 4 })
        const path = `tinker://${training.modelId}/sampler_weights/never-saved`
        return yield* Effect.flip(service.createSamplingClient({ model_path: path }))
      }).pipe(
        RetryPolicy.withRetryPolicy({ first: "1 millis" }),
        Effect.scoped,
        Effect.provide(ServiceClient.layer(options).pipe(Layer.provide(server.layer)))
      )
      assert.include(error.message, "Sampler load_weights failed: 'sessions/")
      assert.include(error.message, "tried 5 times")
    })
  )
})
