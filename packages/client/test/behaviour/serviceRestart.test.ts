import * as Datum from "@effect-tinker/api/Datum"
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Redacted, Scope } from "effect"

const batch = [Datum.fromPromptCompletion([1, 2], [3, 4])]

const step = (training: TrainingClient.TrainingClient) =>
  Effect.gen(function* () {
    const forward = yield* training.forwardBackward(batch, "cross_entropy")
    const update = yield* training.optimStep({ learning_rate: 0.1 })
    const [output] = yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
    return output.metrics["loss:sum"]!
  })

const connect = (baseUrl: string) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl }).pipe(Layer.provide(NodeHttpClient.layer))
    )
    return yield* Effect.provide(ServiceClient.ServiceClient, context)
  })

/** A server with the checkpoints of a directory, which can be stopped. */
const listen = (directory: string) =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const context = yield* Layer.buildWithScope(
      NodeServer.layer().pipe(
        Layer.provide([TestEngine.layer({ vocabularySize: 16 }), CheckpointStore.layerFileSystem(directory)]),
        Layer.provide(Store.layerMemory)
      ),
      scope
    )
    return { url: yield* Effect.provide(NodeServer.baseUrl, context), end: Scope.close(scope, Exit.void) }
  })

describe("a service that stops during training", () => {
  it.live("fails the steps in progress, and training continues from the checkpoint as if it had not stopped", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())
      const first = yield* listen(directory)
      const service = yield* connect(first.url)
      const training = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 4 })
      for (let i = 0; i < 3; i++) yield* step(training)
      const { path } = yield* Fiber.join(yield* training.saveState("third"))
      const expected = [yield* step(training), yield* step(training)]

      yield* first.end
      const lost = yield* step(training).pipe(RetryPolicy.withRetryPolicy(RetryPolicy.never), Effect.exit)
      assert.include(String(lost), "TransportError", "the step fails for lack of a response")
      const behind = yield* Effect.exit(step(training))
      assert.include(String(behind), "ClientBroken", "and nothing is submitted after it")

      const second = yield* listen(directory)
      const again = yield* connect(second.url)
      const resumed = yield* again.createTrainingClientFromStateWithOptimizer(path)
      assert.deepStrictEqual([yield* step(resumed), yield* step(resumed)], expected)
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))
  )
})
