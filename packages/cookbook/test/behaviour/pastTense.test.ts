import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as Dialect from "@effect-tinker/testing/Dialect"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import type * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { fileURLToPath } from "node:url"
import * as PastTense from "../../../../examples/src/past-tense.ts"
import * as Backend from "../../src/Backend.ts"
import * as BaseModel from "../../src/BaseModel.ts"
import * as Metrics from "../../src/Metrics.ts"
import * as Timings from "../../src/Timings.ts"

const data = fileURLToPath(new URL("../../../../examples/data/past-tense.jsonl", import.meta.url))

const Bytes = Layer.succeed(BaseModel.BaseModel, {
  name: TestEngine.baseModel,
  encode: (text) => Array.from(text, (char) => char.charCodeAt(0)),
  decode: (tokens) => String.fromCharCode(...Array.from(tokens))
})

const Below = Layer.mergeAll(
  ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: "http://any.test" }),
  Bytes,
  Backend.layerRemote("the test service"),
  Metrics.layerSilent,
  Timings.layer,
  NodeContext.layer
)

// a console that passes each printed line to `print`
const consoleOf = (print: (line: string) => void) =>
  ({ log: (line: string) => Effect.sync(() => print(line)) }) as unknown as Console.Console

const silent = consoleOf(() => undefined)

const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length

describe("the past-tense example", () => {
  it.effect("submits each step before it awaits the one before", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const printed: Array<string> = []
      const { losses, path } = yield* PastTense.program({
        ...PastTense.defaults,
        data,
        steps: 12,
        learningRate: 0.3,
        heldOut: 4
      }).pipe(
        Effect.provide(Layer.provide(Below, server.layer)),
        Effect.withConsole(consoleOf((line) => printed.push(line)))
      )
      assert.strictEqual(losses.length, 12)
      const known = losses.filter((loss) => typeof loss === "number")
      assert.isTrue(known.length === 12 && known.every(Number.isFinite))
      assert.isBelow(mean(known.slice(-3)), 0.7 * known[0]!)
      assert.match(path, /^tinker:\/\/.+\/sampler_weights\/past-tense$/)
      assert.isTrue(printed.some((line) => line.includes("exact match on 4 held-out verbs")))

      const names = (yield* server.engine.operations).map(({ name }) => name)
      const trainingOperations = names.filter((name) => name === "forwardBackward" || name === "optimStep")
      assert.deepStrictEqual(
        trainingOperations,
        Array.from({ length: 24 }, (_, i) => (i % 2 === 0 ? "forwardBackward" : "optimStep"))
      )
      assert.strictEqual(names.filter((name) => name === "sample").length, 8)
    }).pipe(Effect.scoped)
  )

  it.effect("trains and samples on servers that others wrote, and reports their losses", () =>
    Effect.gen(function* () {
      const options = { ...PastTense.defaults, data, steps: 2, learningRate: 0.3, heldOut: 2 }
      const [expected, ...found] = yield* Effect.forEach(
        [TestServer.layer(), Dialect.skyrl.layer(), Dialect.tuft.layer(), Dialect.hatchery.layer()],
        (http) =>
          PastTense.program(options).pipe(Effect.provide(Layer.provide(Below, http)), Effect.withConsole(silent))
      )
      for (const { losses, path } of found) {
        assert.match(path, /^tinker:/)
        losses.forEach((loss, i) => assert.closeTo(loss as number, expected!.losses[i] as number, 1e-4))
      }
    })
  )

  it.scopedLive("runs unchanged on a service that the environment names", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine.make({ models: [JaxEngine.nano] })
      const listening = yield* Layer.build(
        NodeServer.layer({ apiKeys: [Redacted.make("tml-environment")] }).pipe(
          Layer.provide([engine.layer, CheckpointStore.layerMemory, Store.layerMemory])
        )
      )
      const url = yield* Effect.provide(NodeServer.baseUrl, listening)
      const environment = ConfigProvider.fromMap(
        new Map([
          ["TINKER_API_KEY", "tml-environment"],
          ["TINKER_BASE_URL", url]
        ])
      )
      const { losses, path } = yield* PastTense.program({ ...PastTense.defaults, data, steps: 4, heldOut: 2 }).pipe(
        Effect.provide(
          Layer.mergeAll(Backend.layerConfig({ checkpoints: "unused" }), Metrics.layerSilent, Timings.layer)
        ),
        Effect.provide(Layer.merge(NodeContext.layer, FetchHttpClient.layer)),
        Effect.withConsole(silent),
        Effect.withConfigProvider(environment)
      )
      assert.strictEqual(losses.length, 4)
      assert.match(path, /^tinker:/)
      assert.isAbove((yield* engine.operations).length, 0)
    })
  )
})
