/** The SDK as it comes: spans, metrics, retries and budgets on, over the transport for Node. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { args, measure, promptTokens } from "./measure.ts"

const { count, inFlight, url } = args()
const prompt = ModelInput.fromTokens(Array.from({ length: promptTokens }, (_, i) => i))

const program = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const sampling = yield* service.createSamplingClient({ base_model: "bench" })
  const run = (count: number, took: (millis: number) => void) =>
    Effect.runPromise(
      Effect.forEach(
        Array.from({ length: count }),
        () =>
          Effect.suspend(() => {
            const start = performance.now()
            return Effect.map(sampling.sample(prompt, { sampling_params: { max_tokens: 16 } }), () =>
              took(performance.now() - start)
            )
          }),
        { concurrency: inFlight, discard: true }
      )
    )
  yield* Effect.promise(() => measure({ count, inFlight }, run))
})

await Effect.runPromise(
  program.pipe(
    Effect.scoped,
    Effect.provide(
      ServiceClient.layer({ apiKey: Redacted.make("tml-bench"), baseUrl: url }).pipe(
        Layer.provide(NodeHttpClient.layer)
      )
    )
  )
)
