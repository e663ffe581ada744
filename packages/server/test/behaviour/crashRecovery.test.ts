import * as AnyHost from "@effect-tinker/testing/AnyHost"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as Datum from "@effect-tinker/api/Datum"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { bundleProgram } from "../../../../scripts/bundle-program.mjs"
import type * as Engine from "../../src/Engine.ts"
import * as client from "../utils/client.ts"

const script = fileURLToPath(new URL("../utils/durableServer.ts", import.meta.url))

/** A service in a separate process, and an effect that kills it with SIGKILL. */
const start = (directory: string, port = 0) =>
  Effect.acquireRelease(
    Effect.flatMap(
      Effect.promise(() => bundleProgram(script)),
      (program) => started(program, directory, port)
    ),
    ({ kill }) => kill
  )

const started = (program: string, directory: string, port: number) =>
  Effect.async<{ readonly url: string; readonly kill: Effect.Effect<void> }, Error>((resume) => {
    const child = spawn(process.execPath, [program, directory, String(port)], { stdio: ["ignore", "pipe", "inherit"] })
    const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()))
    const kill = Effect.promise(() => {
      child.kill("SIGKILL")
      return exited
    })
    child.once("error", (error) => resume(Effect.fail(error)))
    child.once("exit", (code) => resume(Effect.fail(new Error(`the service ended with ${code}`))))
    let output = ""
    child.stdout.on("data", (chunk) => {
      output += String(chunk)
      const url = /^(http\S+)/m.exec(output)?.[1]
      if (url !== undefined) resume(Effect.succeed({ url, kill }))
    })
  })

describe("a service that is killed", () => {
  it.scopedLive(
    "has every checkpoint that it acknowledged, complete, and no other",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* fs.makeTempDirectoryScoped()
        /** by path: the number of optimizer steps of the last save that succeeded, and of the last that was attempted */
        const acknowledged = new Map<string, number>()
        const attempted = new Map<string, number>()

        for (const [saves, delay] of [
          [5, 0],
          [14, 7]
        ] as const) {
          yield* Effect.gen(function* () {
            const { kill, url } = yield* start(directory)
            const training = Effect.gen(function* () {
              const model_id = yield* client.createModel(yield* client.createSession)
              for (let step = 1; ; step++) {
                yield* client.forwardBackward(model_id)
                yield* client.optimStep(model_id)
                for (const name of ["latest", `step-${step}`]) {
                  const path = `tinker://${model_id}/weights/${name}`
                  attempted.set(path, step)
                  const saved = yield* client.run("/save_weights", { model_id, path: name, overwrite: true })
                  assert.strictEqual(saved.path, path)
                  acknowledged.set(path, step)
                }
              }
            }).pipe(Effect.provide(AnyHost.layer(url)))
            const before = acknowledged.size
            const fiber = yield* Effect.forkScoped(Effect.exit(training))
            yield* Effect.sleep("2 millis").pipe(Effect.repeat({ until: () => acknowledged.size >= before + saves }))
            yield* Effect.sleep(delay)
            yield* kill
            yield* Fiber.interrupt(fiber)
          }).pipe(Effect.scoped)
        }

        // a new service over the same directory
        const checkpoints = CheckpointStore.layerFileSystem(directory).pipe(Layer.provide(NodeContext.layer))
        const { layer } = yield* TestServer.make({ checkpoints })
        const listed = yield* client.ok(client.get("/checkpoints?limit=100000")).pipe(Effect.provide(layer))
        const found = new Set((listed.checkpoints as Array<{ tinker_path: string }>).map((one) => one.tinker_path))
        for (const path of acknowledged.keys()) assert.isTrue(found.has(path), path)
        for (const path of found) assert.isTrue(attempted.has(path), path)
        const [some] = acknowledged.keys()
        const loaded = yield* Effect.gen(function* () {
          const session_id = yield* client.createSession
          return yield* client.run("/load_weights", { session_id, model_seq_id: 0, path: some, optimizer: true })
        }).pipe(Effect.provide(layer))
        assert.strictEqual(loaded.path, some)

        const store = yield* CheckpointStore.makeFileSystem(directory)
        for (const path of found) {
          const checkpoint = yield* store.load(Option.getOrThrow(TinkerPath.parse(path)))
          const step = checkpoint.optimizer?.step ?? -1
          assert.isTrue(step === acknowledged.get(path) || step === attempted.get(path), `${path} is of step ${step}`)
        }
        assert.isTrue((yield* fs.readDirectory(directory)).every((name) => !name.startsWith(".")))
      }).pipe(Effect.provide([NodeContext.layer, Store.layerMemory])),
    60_000
  )

  it.scopedLive(
    "fails the steps in flight when it is back, and training resumes from its checkpoint",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* fs.makeTempDirectoryScoped()
        const first = yield* start(directory)
        const connect = Effect.map(
          Layer.build(
            ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: first.url }).pipe(
              Layer.provide(NodeHttpClient.layer)
            )
          ),
          Context.get(ServiceClient.ServiceClient)
        )
        const submit = (training: TrainingClient.TrainingClient, token: number) =>
          Effect.gen(function* () {
            const forward = yield* training.forwardBackward([Datum.fromPromptCompletion([token], [2])], "cross_entropy")
            const update = yield* training.optimStep({ learning_rate: 0.1 })
            return Effect.map(
              Effect.all([Fiber.join(forward), Fiber.join(update)]),
              ([output]) => output.metrics["loss:sum"]!
            )
          })
        const train = (training: TrainingClient.TrainingClient, tokens: ReadonlyArray<number>) =>
          Effect.forEach(tokens, (token) => Effect.flatten(submit(training, token)))

        const service = yield* connect
        const models = yield* Effect.replicateEffect(
          service.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 4, seed: 1 }),
          2
        )
        const [undisturbed, training] = models as [TrainingClient.TrainingClient, TrainingClient.TrainingClient]
        const expected = (yield* train(undisturbed, [1, 2, 3, 4, 5, 6])).slice(3)
        yield* train(training, [1, 2, 3])
        const { path } = yield* Effect.flatten(training.saveState("third"))
        const inFlight = [yield* submit(training, 4), yield* submit(training, 5)]
        yield* first.kill
        yield* start(directory, Number(new URL(first.url).port))
        // the client retries them until the next service is there, which does not know the model
        const [lost, behind] = yield* Effect.forEach(inFlight, (step) => Effect.flip(step))
        assert.strictEqual(lost!._tag, "NotFound")
        assert.include(lost!.message, training.modelId)
        assert.strictEqual(behind!._tag, "ClientBroken")
        assert.strictEqual((yield* Effect.flip(Effect.flatten(submit(training, 6))))._tag, "ClientBroken")

        const again = yield* connect
        const resumed = yield* again.createTrainingClientFromStateWithOptimizer(path)
        assert.deepStrictEqual(yield* train(resumed, [4, 5, 6]), expected)
      }).pipe(Effect.provide([NodeContext.layer, Store.layerMemory])),
    60_000
  )

  const adapter = (value: number): Engine.Adapter => ({
    base_model: "effect-tinker/test",
    lora_config: { rank: 1, train_unembed: true, train_mlp: true, train_attn: true },
    lora_alpha: 1,
    weights: { w: { shape: [1], data: Float32Array.of(value) } }
  })

  it.scopedLive("still has the checkpoint that it was replacing, and completes a removal", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const path = { training_run_id: "s:train:0", kind: "weights", name: "one" } as const
      const before = yield* CheckpointStore.makeFileSystem(directory)
      yield* before.save({ path, adapter: adapter(1) })
      const place = `${directory}/s%3Atrain%3A0/weights/one`
      // as a crash leaves it: the old checkpoint is moved away, the new one is not in place
      yield* fs.makeDirectory(`${directory}/.draft-1/new`, { recursive: true })
      yield* fs.writeFileString(`${directory}/.draft-1/new/adapter_config.json`, "{")
      yield* fs.rename(place, `${directory}/.draft-1/old`)
      yield* fs.makeDirectory(`${directory}/.draft-2/gone`, { recursive: true })
      const after = yield* CheckpointStore.makeFileSystem(directory)
      assert.deepStrictEqual((yield* after.load(path)).adapter, adapter(1))
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["s%3Atrain%3A0"])
    }).pipe(Effect.provide([NodeContext.layer, Store.layerMemory]))
  )
})
