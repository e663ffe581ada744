/** Copies the store in a directory that is in use. */
import * as platformStore from "#store"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as files from "./files.ts"

/** Fails unless the directory of the copy is new, and the other one has a store. */
const check = Effect.fnUntraced(function* (from: string, to: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  if (!(yield* fs.exists(files.databaseIn(path, from)))) {
    return yield* new Store.StoreError({ reason: `${from} has no database: there is nothing to copy` })
  }
  if (yield* fs.exists(to)) {
    return yield* new Store.StoreError({ reason: `${to} exists: name a new directory for the copy` })
  }
})

/** The directory in which a copy is made before it gets its name; removed if that does not happen. */
const draftOf = (to: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const target = path.resolve(to)
    const parent = path.dirname(target)
    yield* fs.makeDirectory(parent, { recursive: true })
    return yield* fs.makeTempDirectoryScoped({ directory: parent, prefix: `.draft-${path.basename(target)}-` })
  })

/** @internal */
export const copy = Effect.fnUntraced(function* (from: string, to: string) {
  yield* check(from, to)
  const fs = yield* FileSystem.FileSystem
  const draft = yield* draftOf(to)
  const content = `${draft}/copy`
  yield* fs.makeDirectory(content, { mode: 0o700 })
  // first the names, then what they name: saves write their files before they are named
  yield* platformStore.copyDatabase(from, content)
  const copied = yield* Effect.scoped(
    Effect.provide(CheckpointStore.copyFiles(from, content), platformStore.layer(content))
  )
  yield* fs.rename(content, to)
  return copied
}, Effect.scoped)
