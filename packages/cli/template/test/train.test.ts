import { assert, it } from "@effect/vitest"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Metrics from "@effect-tinker/cookbook/Metrics"
import * as Simulation from "@effect-tinker/testing/Simulation"
import * as Simulator from "@effect-tinker/testing/Simulator"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as Weather from "@effect-tinker/testing/Weather"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { type Data, read, train } from "../src/train.ts"

/** The test engine reads bytes: each is a token. */
const TestModel = Layer.succeed(BaseModel.BaseModel, {
  name: TestEngine.baseModel,
  encode: (text) => Array.from(new TextEncoder().encode(text)),
  decode: (tokens) => new TextDecoder().decode(Uint8Array.from(tokens))
})

const TestClient = ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: "http://simulated.test" })

/** Trains against a service whose network loses, delays and repeats requests; the same seed gives the same faults. */
const onABadDay = Effect.fnUntraced(function* (data: Data) {
  const simulator = yield* Simulator.make({ seed: 7, weather: Weather.badDay })
  const { rows } = yield* train(data, { steps: 6 }).pipe(
    Effect.scoped,
    Effect.provide(Layer.mergeAll(TestClient, TestModel, Metrics.layerSilent)),
    Effect.provide(simulator.layer)
  )
  return {
    // of the records that are held out, before the first step and behind the last one
    losses: rows.map((row) => row["test/nll"]).filter((loss) => typeof loss === "number"),
    applied: yield* simulator.applied
  }
}, Effect.scoped)

it.effect(
  "learns on a bad day, and no step is lost or done twice",
  () =>
    Effect.gen(function* () {
      // files are read outside of the simulation, whose time is virtual: minutes of it take a moment
      const data = yield* read("data/train.jsonl")
      const report = yield* Simulation.run(onABadDay(data))
      const { applied, losses } = yield* report.exit
      assert.strictEqual(losses.length, 2)
      assert.isBelow(losses[1]!, losses[0]!)
      // each operation once, in the order in which the program submitted them
      assert.deepStrictEqual(
        applied.map(({ seq_id }) => seq_id),
        applied.map((_, i) => i)
      )
      assert.deepStrictEqual(report.left.fibers, [])
    }).pipe(Effect.provide(NodeContext.layer)),
  60_000
)
