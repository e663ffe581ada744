import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Redacted } from "effect"
import { connect, embedded, scripted } from "../utils/services.ts"

const good = Datum.fromPromptCompletion([1, 2], [3])
const tokens = [1, 2, 3]

const cases: ReadonlyArray<{
  readonly name: string
  readonly path: string
  readonly run: (training: TrainingClient.TrainingClient) => Effect.Effect<unknown, TinkerError.TinkerError>
}> = [
  { name: "no data", path: "data", run: (training) => training.forwardBackward([], "cross_entropy") },
  {
    name: "a tensor of another length",
    path: "data[1].loss_fn_inputs.weights",
    run: (training) =>
      training.forwardBackward(
        [good, Datum.make({ model_input: tokens, loss_fn_inputs: { target_tokens: tokens, weights: [1, 1] } })],
        "cross_entropy"
      )
  },
  {
    name: "a datum that is longer than the model's context",
    path: "data[1].model_input",
    run: (training) =>
      training.forwardBackward(
        [
          good,
          Datum.fromPromptCompletion(
            Array.from({ length: 1025 }, () => 1),
            [2]
          )
        ],
        "cross_entropy"
      )
  },
  {
    name: "a missing loss input",
    path: "data[0].loss_fn_inputs.advantages",
    run: (training) =>
      training.forwardBackward(
        [Datum.make({ model_input: tokens, loss_fn_inputs: { target_tokens: tokens, logprobs: [0, 0, 0] } }) as never],
        "ppo"
      )
  },
  {
    name: "a weight that is not finite",
    path: "data[0].loss_fn_inputs.weights[2]",
    run: (training) =>
      training.forward(
        [Datum.make({ model_input: tokens, loss_fn_inputs: { target_tokens: tokens, weights: [1, 1, Infinity] } })],
        "cross_entropy"
      )
  },
  {
    name: "a token that is none",
    path: "data[0].model_input.chunks[0].tokens[1]",
    run: (training) =>
      training.forward(
        [Datum.make({ model_input: [1, -2], loss_fn_inputs: { target_tokens: [1, 2], weights: [1, 1] } })],
        "cross_entropy"
      )
  },
  {
    name: "a loss parameter that is not finite",
    path: "loss_fn_config.beta",
    run: (training) => training.forward([good], "cross_entropy", { beta: Number.NaN })
  },
  {
    name: "a NaN learning rate",
    path: "params.learning_rate",
    run: (training) => training.optimStep({ learning_rate: Number.NaN })
  },
  { name: "a beta of 1", path: "params.beta2", run: (training) => training.optimStep({ beta2: 1 }) },
  {
    name: "a misspelt parameter",
    path: "params.lr",
    run: (training) => training.optimStep({ lr: 1 } as never)
  },
  { name: "a bad checkpoint name", path: "name", run: (training) => training.saveState("../escape") },
  { name: "a bad sampler name", path: "name", run: (training) => training.saveWeightsForSampler("") },
  { name: "a bad time to live", path: "ttl_seconds", run: (training) => training.saveState("a", { ttl_seconds: 0 }) },
  { name: "a path of sampler weights to load", path: "path", run: (training) => training.loadState("tinker://a/b") }
]

describe("bad input", () => {
  it.effect("fails before anything is sent, names the field, and leaves submitted operations alone", () =>
    Effect.gen(function* () {
      const http = yield* embedded.make()
      const program = Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const training = yield* service.createLoraTrainingClient({ base_model: embedded.baseModel })
        const before = yield* training.forwardBackward([good], "cross_entropy")
        for (const { name, path, run } of cases) {
          const error = yield* Effect.flip(run(training))
          assert.strictEqual(error._tag, "InvalidInput", name)
          assert.strictEqual((error as TinkerError.InvalidInput).path, path, name)
          assert.include(error.message, "Nothing was sent", name)
          assert.isFalse(error.isRetryable, name)
        }
        const after = yield* training.optimStep()
        assert.deepStrictEqual([before.seqIds, after.seqIds], [[1], [2]])
        yield* Effect.all([Fiber.join(before), Fiber.join(after)])
      })
      yield* program.pipe(Effect.scoped, Effect.provide(connect(http)))
      const operations = (yield* http.requests).filter(
        ({ path }) => path === "/forward_backward" || path === "/optim_step"
      )
      assert.strictEqual(operations.length, 2)
    }).pipe(Effect.scoped)
  )

  it.effect("of a sample is rejected for each invalid option", () =>
    Effect.gen(function* () {
      const http = yield* embedded.make()
      yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const sampling = yield* service.createSamplingClient({ base_model: embedded.baseModel })
        const prompt = ModelInput.fromTokens([1])
        const path = (effect: Effect.Effect<unknown, TinkerError.TinkerError>) =>
          Effect.map(Effect.flip(effect), (error) => (error._tag === "InvalidInput" ? error.path : error._tag))
        assert.strictEqual(yield* path(sampling.sample(ModelInput.empty)), "prompt")
        assert.strictEqual(yield* path(sampling.sample(prompt, { num_samples: 0 })), "num_samples")
        assert.strictEqual(
          yield* path(sampling.sample(prompt, { sampling_params: { temperature: -1 } })),
          "sampling_params.temperature"
        )
        // the engine of this service keeps no sample to one
        assert.strictEqual(yield* path(sampling.sample(prompt, { json_schema: "true" })), "json_schema")
        assert.strictEqual(
          yield* path(service.createSamplingClient({ model_path: "tinker://run/weights/a" })),
          "model_path"
        )
      }).pipe(Effect.provide(connect(http)))
      assert.strictEqual((yield* http.requestsTo("/asample")).length, 0)
    }).pipe(Effect.scoped)
  )

  it.effect("is rejected in the name of a base model, with the models that the service offers", () =>
    Effect.gen(function* () {
      const http = yield* embedded.make()
      const error = yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        return yield* Effect.flip(service.createLoraTrainingClient({ base_model: "no/such" }))
      }).pipe(Effect.scoped, Effect.provide(connect(http)))
      assert.strictEqual(error._tag, "BadRequest")
      assert.include(error.message, "no/such")
      assert.include(error.message, embedded.baseModel)
    }).pipe(Effect.scoped)
  )

  it.effect("is rejected in an adapter that trains nothing or has rank 0", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make()
      yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const path = (options: Partial<ServiceClient.LoraOptions>) =>
          service.createLoraTrainingClient({ base_model: "base", ...options }).pipe(
            Effect.flip,
            Effect.map((error) => (error._tag === "InvalidInput" ? error.path : error._tag))
          )
        assert.strictEqual(yield* path({ rank: 0 }), "options.rank")
        assert.strictEqual(yield* path({ base_model: " " }), "base_model")
        assert.include(yield* path({ train_attn: false, train_mlp: false, train_unembed: false }), "train_attn")
      }).pipe(Effect.scoped, Effect.provide(connect(http)))
      assert.strictEqual((yield* http.requestsTo("/create_model")).length, 0)
    }).pipe(Effect.scoped)
  )

  const configured = (env: Record<string, string>) =>
    TinkerConfig.fromConfig().pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)))))

  it.effect("includes a missing or invalid key and a malformed base URL, and never shows the key", () =>
    Effect.gen(function* () {
      const path = (env: Record<string, string>) => Effect.map(Effect.flip(configured(env)), (error) => error.path)
      assert.strictEqual(yield* path({}), "apiKey")
      assert.strictEqual(yield* path({ TINKER_API_KEY: "  " }), "apiKey")
      const broken = yield* Effect.flip(configured({ TINKER_API_KEY: "secret\nkey" }))
      assert.strictEqual(broken.path, "apiKey")
      assert.notInclude(JSON.stringify(broken) + String(broken), "secret")
      for (const url of ["localhost:8000", "ftp://host", "/relative", "http://user:pass@host", "http://host?x=1"]) {
        assert.strictEqual(yield* path({ TINKER_API_KEY: "tml-a", TINKER_BASE_URL: url }), "baseUrl", url)
      }
    })
  )

  it.effect("can come from the environment, over which options take precedence", () =>
    Effect.gen(function* () {
      const config = yield* configured({
        TINKER_API_KEY: "tml-a",
        TINKER_BASE_URL: "http://host/base/",
        TINKER_TAGS: "a, b,,",
        TINKER_PROJECT_ID: "p"
      })
      assert.strictEqual(Redacted.value(yield* config.credentials.get({ commandFirst: false, fresh: false })), "tml-a")
      assert.strictEqual(config.baseUrl, "http://host/base")
      assert.deepStrictEqual(config.tags, ["a", "b"])
      assert.strictEqual(config.projectId, "p")
      const hosted = yield* configured({ TINKER_API_KEY: "tml-a", TINKER_BASE_URL: "" })
      assert.strictEqual(hosted.baseUrl, TinkerConfig.defaultBaseUrl)
    })
  )
})
