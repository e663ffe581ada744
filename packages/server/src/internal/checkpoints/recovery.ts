/** Cleans up a store: removes the remains of interrupted saves, and expired checkpoints. */
import * as Effect from "effect/Effect"
import * as directories from "./directories.ts"
import { isLive } from "./info.ts"
import * as layout from "./layout.ts"
import * as storedInfo from "./storedInfo.ts"

/** Moves a checkpoint back that was about to be replaced, unless its replacement is in place. */
const restoreReplaced = Effect.fnUntraced(function* (root: directories.Root, replaced: string) {
  const { fs, join } = root
  const file = join(replaced, layout.infoFile)
  if (!(yield* fs.exists(file))) return
  const info = yield* Effect.option(Effect.flatMap(fs.readFileString(file), storedInfo.decode))
  const directory = info._tag === "Some" ? storedInfo.directoryOf(root, info.value) : undefined
  if (directory === undefined || (yield* fs.exists(directory))) return
  yield* fs.rename(replaced, directory)
  yield* directories.syncDirectory(root, join(directory, ".."))
})

/** Restores what was about to be replaced when the process stopped, and removes temporary directories. @internal */
export const recover = (root: directories.Root): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { directory, fs, join } = root
    if (!(yield* fs.exists(directory))) return
    for (const name of yield* fs.readDirectory(directory)) {
      if (!name.startsWith(layout.temporaryPrefix)) continue
      yield* restoreReplaced(root, join(directory, name, layout.replacedDirectory))
      yield* fs.remove(join(directory, name), { recursive: true })
    }
  }).pipe(
    Effect.catchAll((error) => Effect.logWarning(`temporary files in ${root.directory} cannot be removed`, error))
  )

/** Removes checkpoints that have expired. @internal */
export const removeExpired = (root: directories.Root, now: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (const info of yield* storedInfo.readAll(root)) {
      const directory = isLive(info, now) ? undefined : storedInfo.directoryOf(root, info)
      if (directory !== undefined) yield* directories.removeDirectory(root, directory)
    }
  }).pipe(Effect.catchAll((error) => Effect.logWarning("expired checkpoints cannot be removed", error)))
