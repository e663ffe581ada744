/** The SDK's part of the benchmark: samples over a given HttpClient, with spans, metrics, retries and budgets on. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { args, measure, promptTokens } from "./measure.ts"

/** Measures, and prints the figures. */
export const run = (http: Layer.Layer<HttpClient.HttpClient>): Promise<void> => {
  const { count, inFlight, url } = args()
  const prompt = ModelInput.fromTokens(Array.from({ length: promptTokens }, (_, i) => i))
  const program = Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    const sampling = yield* service.createSamplingClient({ base_model: "bench" })
    const sampleTimed = (took: (millis: number) => void) =>
      Effect.suspend(() => {
        const start = performance.now()
        return Effect.map(sampling.sample(prompt, { sampling_params: { max_tokens: 16 } }), () =>
          took(performance.now() - start)
        )
      })
    const run = (count: number, took: (millis: number) => void) =>
      Effect.runPromise(
        Effect.forEach(Array.from({ length: count }), () => sampleTimed(took), {
          concurrency: inFlight,
          discard: true
        })
      )
    yield* Effect.promise(() => measure({ count, inFlight }, run))
  })
  const layer = ServiceClient.layer({ apiKey: Redacted.make("tml-bench"), baseUrl: url }).pipe(Layer.provide(http))
  return Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer)))
}
