/**
 * What a sample costs a test: one sample after the other, and many at once, of a client over a `TestServer` in the same
 * process. `SAMPLES` sets another number, and `TOKENS` the length of a sample.
 */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { figure } from "./figure.ts"

const count = Number(process.env["SAMPLES"] ?? 2000)
const max_tokens = Number(process.env["TOKENS"] ?? 64)
const rounds = 5
const prompt = ModelInput.fromTokens([72, 101, 108, 108, 111])

/** The milliseconds of CPU time that a sample takes; the fastest round counts, since the first ones compile. */
const measure = (sampling: SamplingClient.SamplingClient, concurrency: number) =>
  Effect.gen(function* () {
    let best = Number.POSITIVE_INFINITY
    for (let round = 0; round < rounds; round++) {
      const start = process.cpuUsage()
      yield* Effect.forEach(
        Array.from({ length: count }, (_, seed) => seed),
        (seed) => sampling.sample(prompt, { num_samples: 1, sampling_params: { max_tokens, seed } }),
        { concurrency, discard: true }
      )
      const { system, user } = process.cpuUsage(start)
      best = Math.min(best, (system + user) / 1000 / count)
    }
    return best
  })

export default async (print: (line: string) => void = console.log): Promise<void> => {
  const program = Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    const sampling = yield* service.createSamplingClient({ base_model: TestEngine.baseModel })
    for (const concurrency of [1, 100]) {
      const millis = yield* measure(sampling, concurrency)
      print(`a sample of ${max_tokens} tokens, ${concurrency} at once: ${millis.toFixed(3)} ms CPU`)
      print(figure(`inProcess.sample-${concurrency}`, millis, "ms"))
    }
  })
  const service = ServiceClient.layer({ apiKey: Redacted.make("tml-bench"), baseUrl: "http://bench.invalid" })
  await Effect.runPromise(program.pipe(Effect.provide(Layer.provide(service, TestServer.layer())), Effect.scoped))
}
