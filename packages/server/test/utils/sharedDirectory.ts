/** Stores of several processes on one directory and one database, and what is on the disk. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as CheckpointStore from "../../src/CheckpointStore.ts"
import type * as Engine from "../../src/Engine.ts"
import * as Store from "../../src/Store.ts"

const weight = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"

/** An adapter that a number tells from others. */
export const adapterOf = (value: number): Engine.Adapter => ({
  base_model: "effect-tinker/test",
  lora_config: { rank: 2, train_unembed: false, train_mlp: true, train_attn: true },
  lora_alpha: 32,
  weights: { [weight]: { shape: [1, 2], data: Float32Array.of(value, -value) } }
})

/** The number of an adapter. */
export const valueOf = ({ adapter }: CheckpointStore.Checkpoint): number => adapter.weights[weight]!.data[0]!

export const optimizer: Engine.OptimizerState = {
  step: 3,
  first: { [weight]: Float32Array.of(1, 2) },
  second: { [weight]: Float32Array.of(3, 4) }
}

export const path = { training_run_id: "s:train:0", kind: "weights", name: "one" } as const
export const text = "tinker://s:train:0/weights/one"

/** A directory, its database, and processes that are started on them. */
export const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped()
  const database = yield* Store.makeMemory()
  /** Names of files and directories below one, with `/` after directories' entries; none if it does not exist. */
  const below = (name = "") =>
    Effect.map(
      Effect.orElseSucceed(fs.readDirectory(`${directory}/${name}`, { recursive: true }), () => []),
      (names) => [...names].sort()
    )
  /** The records, as another process has them. `end` ends that process. */
  const records = Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => Scope.close(scope, exit))
    const context = yield* Layer.buildWithScope(Layer.fresh(database.layer), scope)
    return { store: Context.get(context, Store.Store), end: Scope.close(scope, Exit.void) }
  })
  /** A store of another process. */
  const open = (options: { readonly fs?: FileSystem.FileSystem } = {}) =>
    Effect.gen(function* () {
      const { end, store } = yield* records
      const checkpoints = yield* CheckpointStore.makeFileSystem(directory).pipe(
        Effect.provideService(Store.Store, store),
        Effect.provideService(FileSystem.FileSystem, options.fs ?? fs)
      )
      return { checkpoints, records: store, end }
    })
  return { fs, directory, below, records, open, place: `${directory}/s%3Atrain%3A0/weights/one` }
})
