/** A training program in a simulated network that loses, delays and repeats requests: hours of it, in a moment. */
import * as Datum from "@effect-tinker/api/Datum"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Fault from "@effect-tinker/testing/Fault"
import * as Simulation from "@effect-tinker/testing/Simulation"
import * as Simulator from "@effect-tinker/testing/Simulator"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as Weather from "@effect-tinker/testing/Weather"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"

/** The program: it knows nothing of the simulation. */
const train = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const training = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 8, seed: 0 })
  const batch = [Datum.fromPromptCompletion([1, 2, 3], [4, 5])]
  const losses: Array<number> = []
  for (let step = 0; step < 20; step++) {
    const forward = yield* training.forwardBackward(batch, "cross_entropy")
    const update = yield* training.optimStep({ learning_rate: 0.1 })
    const [{ metrics }] = yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
    losses.push(metrics["loss:sum"]!)
  }
  return losses
}).pipe(Effect.scoped)

export const badDay = Effect.gen(function* () {
  const simulator = yield* Simulator.make({
    seed: 7, // the same seed gives the same faults
    weather: Weather.badDay,
    cycle: "10 seconds",
    faults: [Fault.on("optim_step").during("30 seconds", "2 minutes").respond(503)]
  })
  const client = ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: "http://simulated.test" })
  const losses = yield* Effect.provide(train, Layer.provide(client, simulator.layer))
  return { losses, applied: yield* simulator.applied, deliveries: yield* simulator.deliveries }
}).pipe(Effect.scoped)

export const program = Effect.gen(function* () {
  const { exit, left, millis } = yield* Simulation.run(badDay)
  const { applied, deliveries, losses } = yield* exit
  yield* Console.log(`${losses.length} steps in ${(millis / 60_000).toFixed(1)} minutes of virtual time`)
  yield* Console.log(`loss ${losses[0]?.toFixed(3)} → ${losses.at(-1)?.toFixed(3)}`)
  yield* Console.log(`${deliveries.length} requests, of which ${applied.length} operations took effect, each once`)
  yield* Console.log(`left behind: ${left.fibers.length} fibers, ${left.timers} timers`)
  return { applied, losses }
})

if (import.meta.url === `file://${process.argv[1]}`) {
  // the warnings of retries are expected here
  await Effect.runPromise(program.pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))
}
