/**
 * Saves checkpoints in this process, beside others. Arguments: the directory, the name of this process, and how many.
 * Prints "ready", then the path of each checkpoint once its save is acknowledged.
 */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Embedded from "../../src/Embedded.ts"

const [directory, process_, count] = [process.argv[2]!, process.argv[3]!, Number(process.argv[4])]
const print = (line: string) => Effect.sync(() => process.stdout.write(`${line}\n`))

const adapter = (value: number) => ({
  base_model: "effect-tinker/test",
  lora_config: { rank: 1, train_unembed: true, train_mlp: true, train_attn: true },
  lora_alpha: 1,
  weights: { w: { shape: [1], data: Float32Array.of(value) } }
})

/** Saves under a name of this process, under one that all try to take, and under one that all overwrite. */
const saveAll = Effect.gen(function* () {
  const store = yield* CheckpointStore.CheckpointStore
  yield* print("ready")
  const path = (name: string) => ({ training_run_id: "s:train:0", kind: "weights", name }) as const
  for (let i = 0; i < count; i++) {
    const own = path(`${process_}-${i}`)
    yield* store.save({ path: own, adapter: adapter(i) })
    yield* print(TinkerPath.format(own))
    if (i % 10 !== 0) continue
    const taken = path(`first-${i}`)
    const saved = yield* Effect.either(store.save({ path: taken, adapter: adapter(i) }))
    if (saved._tag === "Right") yield* print(TinkerPath.format(taken))
    else if (saved.left._tag !== "CheckpointExists") yield* saved.left
    yield* store.save({ path: path("latest"), adapter: adapter(i), overwrite: true })
  }
})

NodeRuntime.runMain(
  saveAll.pipe(
    Effect.provide(CheckpointStore.layerFileSystem(directory)),
    Effect.provide(Embedded.layerStore(directory)),
    Effect.provide(NodeContext.layer)
  )
)
