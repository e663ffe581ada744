/**
 * An API of one's own in front of Tinker: it trains on examples that it is given, and samples from what it has trained.
 * Schemas and errors are those of the library, so that the OpenAPI page shows them and a generated client has them typed.
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Sampling from "@effect-tinker/api/Sampling"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSwagger from "@effect/platform/HttpApiSwagger"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

const TrainRequest = Schema.Struct({
  base_model: Schema.String,
  data: Schema.Array(Datum.schemaFor("cross_entropy")).pipe(Schema.minItems(1), Schema.maxItems(1024)),
  steps: Schema.Int.pipe(Schema.between(1, 100)),
  learning_rate: Schema.Number.pipe(Schema.between(0, 1))
})

const TrainResponse = Schema.Struct({
  losses: Schema.Array(Schema.Number),
  /** what to sample from */
  path: Schema.String
})

const SampleRequest = Schema.Struct({
  path: Schema.String,
  prompt: ModelInput.ModelInput,
  sampling_params: Sampling.PartialSamplingParams
})

export const Api = HttpApi.make("FineTuning").add(
  HttpApiGroup.make("tuning")
    .add(HttpApiEndpoint.post("train", "/train").setPayload(TrainRequest).addSuccess(TrainResponse))
    .add(HttpApiEndpoint.post("sample", "/sample").setPayload(SampleRequest).addSuccess(Sampling.SampleResponse))
    .addError(TinkerError.Union)
)

const train = (service: ServiceClient.Service, request: typeof TrainRequest.Type) =>
  Effect.gen(function* () {
    const { base_model, data, learning_rate, steps } = request
    const training = yield* service.createLoraTrainingClient({ base_model, rank: 8 })
    const losses: Array<number> = []
    for (let step = 0; step < steps; step++) {
      const pass = yield* training.forwardBackward(data, "cross_entropy")
      const update = yield* training.optimStep({ learning_rate })
      const [{ metrics }] = yield* Effect.all([Fiber.join(pass), Fiber.join(update)])
      losses.push(metrics["loss:sum"] ?? Number.NaN)
    }
    const { path } = yield* Fiber.join(yield* training.saveWeightsForSampler("trained"))
    return { losses, path }
  }).pipe(Effect.scoped)

const Tuning = HttpApiBuilder.group(Api, "tuning", (handlers) =>
  Effect.map(ServiceClient.ServiceClient, (service) =>
    handlers
      .handle("train", ({ payload }) => train(service, payload))
      .handle("sample", ({ payload }) =>
        Effect.flatMap(service.createSamplingClient({ model_path: payload.path }), (sampling) =>
          sampling.sample(payload.prompt, { sampling_params: payload.sampling_params })
        )
      )
  )
)

/** The API with its page at `/docs`. */
export const layer = Layer.provideMerge(
  HttpApiSwagger.layer({ path: "/docs" }),
  Layer.provide(HttpApiBuilder.api(Api), Tuning)
)
