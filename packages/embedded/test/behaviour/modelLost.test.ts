import * as Datum from "@effect-tinker/api/Datum"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as processes from "../utils/processes.ts"

const batch = [Datum.fromPromptCompletion([1, 2], [3, 4])]

/** A step, and the loss before it. */
const step = (training: TrainingClient.TrainingClient) =>
  Effect.gen(function* () {
    const forward = yield* training.forwardBackward(batch, "cross_entropy")
    const update = yield* training.optimStep({ learning_rate: 0.1 })
    const [output] = yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
    return output.metrics["loss:sum"]!
  })

const connect = (baseUrl: string) =>
  Effect.map(
    Layer.build(
      ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl }).pipe(Layer.provide(NodeHttpClient.layer))
    ),
    Context.get(ServiceClient.ServiceClient)
  )

/** The error that tells that the model ended with its process. */
const lostModel = <A>(effect: Effect.Effect<A, TinkerError.TinkerError>) =>
  Effect.flatMap(Effect.flip(effect), (error) =>
    error._tag === "ModelLost" ? Effect.succeed(error) : Effect.dieMessage(`${error._tag}: ${error.message}`)
  )

describe("a program whose service is killed", () => {
  it.scopedLive(
    "is told what was lost, and goes on from the last saved state in one line, with the same session and losses",
    () =>
      Effect.gen(function* () {
        const directory = yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())
        const first = yield* processes.start("durableService.ts", directory)
        const service = yield* connect(first.line)
        const training = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 4 })
        for (let i = 0; i < 3; i++) yield* step(training)
        const { path } = yield* Fiber.join(yield* training.saveState("third"))
        const expected = [yield* step(training), yield* step(training)]

        yield* first.kill
        yield* processes.start("durableService.ts", directory, new URL(first.line).port)
        const error = yield* lostModel(step(training))
        assert.deepInclude(error, { modelId: training.modelId, lastSaved: path, stepsLost: 2 })
        // operations that were called before are told the same
        assert.strictEqual((yield* lostModel(step(training))).lastSaved, path)

        const resumed = yield* service.createTrainingClientFromStateWithOptimizer(error.lastSaved!)
        assert.deepStrictEqual([yield* step(resumed), yield* step(resumed)], expected)
        assert.strictEqual(resumed.modelId.split(":")[0], training.modelId.split(":")[0])
      }).pipe(Effect.provide(NodeContext.layer)),
    120_000
  )
})
