/**
 * `npm run soak -- --steps N --seed K`: a long training run against a simulated service with faults. It fails if a step is
 * lost, repeated or out of order, or if memory grows.
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Simulation from "@effect-tinker/testing/Simulation"
import * as Simulator from "@effect-tinker/testing/Simulator"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as Weather from "@effect-tinker/testing/Weather"
import { Effect, Fiber, Layer, Logger, LogLevel, Redacted } from "effect"
import { parseArgs } from "node:util"
import { over, ways, type Way } from "../utils/services.ts"

const { values } = parseArgs({
  options: { steps: { type: "string", default: "10000" }, seed: { type: "string", default: "1" } }
})
const steps = Number(values.steps)
const seed = Number(values.seed)
const every = Math.max(1, Math.floor(steps / 10))

const gc = (globalThis as { readonly gc?: () => void }).gc
if (gc === undefined) throw new Error("run it with --expose-gc")

/** The loss of each step depends on all steps before it. */
const train = (weather: Weather.Weather, way: Way, report: (step: number, heap: number) => void) =>
  Effect.gen(function* () {
    const simulator = yield* Simulator.make({ seed, weather, engine: { vocabularySize: 16 }, record: false })
    const context = yield* Layer.build(
      ServiceClient.layer({ apiKey: Redacted.make("tml-soak"), baseUrl: "http://soak.test" }).pipe(
        Layer.provide(over(way, simulator.layer))
      )
    )
    const service = yield* Effect.provide(ServiceClient.ServiceClient, context)
    const training = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel })
    const submit = (training: TrainingClient.TrainingClient, step: number) =>
      Effect.gen(function* () {
        const datum = Datum.fromPromptCompletion([step % 16], [(step >> 4) % 16, (step >> 8) % 16])
        const forward = yield* training.forwardBackward([datum], "cross_entropy")
        const update = yield* training.optimStep({ learning_rate: 1e-3 * (1 + (step % 7)) })
        return Effect.map(
          Effect.all([Fiber.join(forward), Fiber.join(update)]),
          ([output]) => output.metrics["loss:sum"]!
        )
      })
    const losses = new Float64Array(steps)
    let ahead = yield* submit(training, 0)
    for (let step = 0; step < steps; step++) {
      const next: typeof ahead | undefined = step + 1 < steps ? yield* submit(training, step + 1) : undefined
      losses[step] = yield* ahead
      if (next !== undefined) ahead = next
      if ((step + 1) % every === 0) {
        gc()
        report(step + 1, process.memoryUsage().heapUsed)
      }
    }
    return losses
  }).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None))

const run = async (name: string, weather: Weather.Weather, way: Way) => {
  const heaps: Array<number> = []
  const start = performance.now()
  const report = await Effect.runPromise(
    Simulation.run(
      train(weather, way, (step, heap) => {
        heaps.push(heap)
        console.log(`${name}: ${step} steps, heap ${(heap / 2 ** 20).toFixed(2)} MiB`)
      }),
      { seed, limit: "3650 days", realLimit: "1 days" }
    )
  )
  const seconds = (performance.now() - start) / 1000
  const { fibers } = report.left
  console.log(
    `${name}: ${(steps / seconds).toFixed(0)} steps/s, ${(report.millis / 3_600_000).toFixed(1)} h of virtual time, ` +
      `${fibers.length} fibers and ${report.left.timers} timers left`
  )
  return { losses: Effect.runSync(report.exit), heaps, left: fibers.length + report.left.timers }
}

const expected = await run("no faults", { ...Weather.fair, latency: ["1 millis", "2 millis"] }, "any HttpClient")
const problems: Array<string> = []

/**
 * The growth of the heap after the first third of the run, when caches are filled: the rise of a line that is fitted to
 * it, as a fraction of its mean.
 */
const growthOf = (heaps: ReadonlyArray<number>): number => {
  const settled = heaps.slice(Math.floor(heaps.length / 3))
  const middle = (settled.length - 1) / 2
  const mean = settled.reduce((sum, heap) => sum + heap, 0) / settled.length
  const slope =
    settled.reduce((sum, heap, i) => sum + (i - middle) * (heap - mean), 0) /
    settled.reduce((sum, _, i) => sum + (i - middle) ** 2, 0)
  return (slope * (settled.length - 1)) / mean
}

for (const way of ways) {
  const name = `5 % faults, over ${way}`
  const { heaps, left, losses } = await run(name, { ...Weather.badDay, rate: 0.05 }, way)
  const differs = losses.findIndex((loss, step) => loss !== expected.losses[step])
  if (differs >= 0) {
    problems.push(`${name}: step ${differs} gave ${losses[differs]}, and without faults ${expected.losses[differs]}`)
  }
  if (left > 0) problems.push(`${name}: fibers or timers are left`)
  const growth = growthOf(heaps)
  console.log(`${name}: the heap grew by ${(growth * 100).toFixed(2)} % after the first third`)
  if (growth > 0.01) problems.push(`${name}: memory is not flat`)
}

for (const problem of problems) console.log(problem)
if (problems.length > 0) process.exitCode = 1
