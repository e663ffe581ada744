/** The program that is observed: a step, a sample, a failure and a cancellation. Arguments: the collector's URL. */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as otlp from "./otlp.ts"

const prompt = ModelInput.fromTokens([1, 2, 3, 4])

const program = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const training = yield* service.createLoraTrainingClient({ base_model: "effect-tinker/nano" })
  // a step: both are sent before the first is awaited
  const pass = yield* training.forwardBackward([Datum.fromPromptCompletion([1, 2, 3], [4, 5])], "cross_entropy")
  const step = yield* training.optimStep()
  yield* Effect.all([Fiber.join(pass), Fiber.join(step)])
  const sampling = yield* training.saveWeightsAndGetSamplingClient()
  yield* sampling.sample(prompt, { sampling_params: { max_tokens: 8, seed: 1 } })
  // a failure of the service: the vocabulary has no such token
  yield* Effect.exit(sampling.sample(ModelInput.fromTokens([1, 999_999]), { sampling_params: { max_tokens: 8 } }))
  // a cancellation
  const long = sampling.sample(prompt, { num_samples: 16, sampling_params: { max_tokens: 400 } })
  yield* Effect.timeoutOption(long, "500 millis")
  // lets the cancellation be sent
  yield* Effect.sleep("300 millis")
}).pipe(Effect.scoped)

NodeRuntime.runMain(
  program.pipe(
    Effect.provide(ServiceClient.layerConfig().pipe(Layer.provide(NodeHttpClient.layer))),
    Effect.withSpan("program"),
    Effect.provide(otlp.layer(process.argv[2]!, "program"))
  )
)
