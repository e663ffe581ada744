import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { fileURLToPath } from "node:url"
import * as Embedded from "../../src/Embedded.ts"

// written by the version before there was a store
const fixture = fileURLToPath(new URL("../../../server/test/fixtures/checkpoints-1", import.meta.url))

describe("a directory of checkpoints that a version without a store wrote", () => {
  it.scopedLive("is opened, and stays as it was: its checkpoints, their owner, and what is published", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = `${yield* fs.makeTempDirectoryScoped()}/checkpoints`
      yield* fs.copy(fixture, directory)
      for (let time = 0; time < 2; time++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const store = yield* CheckpointStore.CheckpointStore
            const listed = yield* store.list
            // one of the four has expired
            assert.deepStrictEqual(listed.map(({ kind, name }) => `${kind}/${name}`).sort(), [
              "external_weights/external",
              "sampler_weights/sampler",
              "weights/state"
            ])
            const state = listed.find(({ name }) => name === "state")!
            assert.deepStrictEqual(state.user_metadata, { step: "2" })
            assert.match(state.owner ?? "", /^user-/)
            const loaded = yield* store.load(Option.getOrThrow(TinkerPath.parse(TinkerPath.format(state))))
            assert.strictEqual(loaded.optimizer?.step, 2)
            assert.isTrue(listed.find(({ name }) => name === "sampler")?.public)
          }).pipe(
            Effect.provide(CheckpointStore.layerFileSystem(directory)),
            Effect.provide(Layer.fresh(Embedded.layerStore(directory)))
          )
        )
      }
      assert.isTrue(yield* fs.exists(`${directory}/tinker.db`))
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive("becomes private to the user, unless the user keeps other files in it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const parent = yield* fs.makeTempDirectoryScoped()
      /** What others may open. */
      const openIn = (directory: string) =>
        Effect.gen(function* () {
          const names = yield* fs.readDirectory(directory, { recursive: true })
          const paths = [directory, ...names.map((name) => `${directory}/${name}`)]
          // the journal of a database that has just been closed goes away by itself
          const isOpen = (path: string) =>
            Effect.match(fs.stat(path), { onFailure: () => false, onSuccess: ({ mode }) => (mode & 0o077) !== 0 })
          return yield* Effect.filter(paths, isOpen)
        })
      for (const name of ["own", "shared"]) {
        const directory = `${parent}/${name}`
        yield* fs.copy(fixture, directory)
        for (const path of ["", ...(yield* fs.readDirectory(directory, { recursive: true }))]) {
          const { type } = yield* fs.stat(`${directory}/${path}`)
          yield* fs.chmod(`${directory}/${path}`, type === "Directory" ? 0o755 : 0o644)
        }
        if (name === "shared") yield* fs.writeFileString(`${directory}/notes.md`, "mine")
        assert.isAbove((yield* openIn(directory)).length, 10)
        yield* Effect.scoped(
          Layer.build(
            CheckpointStore.layerFileSystem(directory).pipe(Layer.provide(Layer.fresh(Embedded.layerStore(directory))))
          )
        )
      }
      assert.deepStrictEqual(yield* openIn(`${parent}/own`), [])
      assert.deepStrictEqual(yield* openIn(`${parent}/shared`), [`${parent}/shared`, `${parent}/shared/notes.md`])
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
