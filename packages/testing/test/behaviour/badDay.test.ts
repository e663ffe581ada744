import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"

// example
import * as Datum from "@effect-tinker/api/Datum"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Fault from "@effect-tinker/testing/Fault"
import * as Simulation from "@effect-tinker/testing/Simulation"
import * as Simulator from "@effect-tinker/testing/Simulator"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as Weather from "@effect-tinker/testing/Weather"
import { Effect, Fiber, Layer, Redacted } from "effect"

// the program to test
const train = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const training = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 8 })
  const batch = [Datum.fromPromptCompletion([1, 2, 3], [4, 5])]
  const losses: Array<number> = []
  for (let i = 0; i < 5; i++) {
    const forward = yield* training.forwardBackward(batch, "cross_entropy")
    const update = yield* training.optimStep({ learning_rate: 0.1 })
    const [output] = yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
    losses.push(output.metrics["loss:sum"]!)
  }
  return losses
}).pipe(Effect.scoped)

const badDay = Effect.gen(function* () {
  const simulator = yield* Simulator.make({
    seed: 7, // the same seed gives the same faults
    weather: Weather.badDay,
    cycle: "10 seconds",
    faults: [
      Fault.on("forward_backward").nth(3).loseResponse, // applied, but the client gets no response
      Fault.on("optim_step").during("30 seconds", "2 minutes").respond(503),
      Fault.on("retrieve_future").nth(8).pause("paused_capacity", "a rack is down")
    ]
  })
  const client = ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: "http://simulated.test" })
  const losses = yield* Effect.provide(train, Layer.provide(client, simulator.layer))
  return { losses, applied: yield* simulator.applied }
}).pipe(Effect.scoped)

it.effect("trains through a bad day without losing or repeating a step", () =>
  Effect.gen(function* () {
    // minutes of virtual time take a moment
    const report = yield* Simulation.run(badDay)
    const { applied, losses } = yield* report.exit
    assert.isBelow(losses[4]!, losses[0]!)
    // each step once, in the order in which the program submitted them
    assert.deepStrictEqual(
      applied.map(({ seq_id }) => seq_id),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    )
    assert.deepStrictEqual(report.left, { fibers: [], timers: 0 })
  })
)
// end of the example

it("the README shows this program", () => {
  const source = readFileSync(new URL(import.meta.url), "utf8")
  const example = source.slice(source.indexOf("// example\n") + 11, source.indexOf("// end of the example"))
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8")
  assert.include(readme, `\`\`\`ts\nimport { assert, it } from "@effect/vitest"\n${example}\`\`\``)
})
