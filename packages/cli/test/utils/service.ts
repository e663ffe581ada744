/** The embedded service over an engine that computes nothing, for the command to talk to. */
import * as Datum from "@effect-tinker/api/Datum"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { fileURLToPath } from "node:url"

/** A tokenizer for models of the test engine. */
export const tokenizerDirectory = fileURLToPath(new URL("../../../engine/models/nano", import.meta.url))

export const key = "tml-secret-of-the-tests"

/** A running service, and the environment variables that select it. */
export class Service extends Context.Tag("test/Service")<
  Service,
  {
    readonly env: { readonly TINKER_BASE_URL: string; readonly TINKER_API_KEY: string }
    /** Creates a training run with the checkpoints `weights/first` and `sampler_weights/final`. Succeeds with its id. */
    readonly train: (metadata?: { readonly [name: string]: string }) => Effect.Effect<string, unknown>
    readonly sessionId: string
    readonly models: Effect.Effect<ReadonlyArray<string>>
  }
>() {}

const options: NodeServer.Options = { apiKeys: [Redacted.make(key)] }

const datum = Datum.forLoss("cross_entropy", {
  model_input: [10, 11, 12],
  loss_fn_inputs: { target_tokens: [11, 12, 13], weights: [1, 1, 1] }
})

export const layer = Layer.scoped(
  Service,
  Effect.gen(function* () {
    const baseUrl = yield* NodeServer.baseUrl
    const context = yield* Layer.build(
      ServiceClient.layer({ apiKey: Redacted.make(key), baseUrl }).pipe(Layer.provide(FetchHttpClient.layer))
    )
    const service = Context.get(context, ServiceClient.ServiceClient)
    const capabilities = yield* service.getServerCapabilities
    const models = capabilities.supported_models.map(({ model_name }) => model_name!)
    const base_model = models[0]!
    return {
      env: { TINKER_BASE_URL: baseUrl, TINKER_API_KEY: key },
      sessionId: service.sessionId,
      models: Effect.succeed(models),
      train: (user_metadata) =>
        Effect.gen(function* () {
          const training = yield* service.createLoraTrainingClient({ base_model, rank: 8, user_metadata })
          yield* training.forwardBackward([datum], "cross_entropy")
          yield* training.optimStep()
          yield* Effect.flatMap(training.saveState("first"), Fiber.join)
          yield* Effect.flatMap(training.saveWeightsForSampler("final"), Fiber.join)
          return training.modelId
        }).pipe(Effect.scoped)
    }
  })
).pipe(
  Layer.provide(NodeServer.layer(options)),
  Layer.provide([TestEngine.layer(), CheckpointStore.layerMemory, Store.layerMemory])
)
