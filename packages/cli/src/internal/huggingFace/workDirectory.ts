/** The directory that an adapter is exported to, and what killed pushes have left. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Io from "../terminal/io.ts"

/** Whether no process of this machine has this number. */
const isGone = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return false
  } catch (cause) {
    return (cause as { readonly code?: unknown }).code === "ESRCH"
  }
}

/** Removes the directories of pushes on this machine whose process was killed. What cannot be removed stays. */
const removeStale = (parent: string, prefix: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    for (const name of yield* fs.readDirectory(parent)) {
      const pid = name.startsWith(prefix) ? /^(\d+)-/.exec(name.slice(prefix.length)) : null
      if (pid !== null && isGone(Number(pid[1]))) {
        yield* Effect.ignore(fs.remove(join(parent, name), { recursive: true }))
      }
    }
  }).pipe(Effect.ignore)

/** An empty directory, which is removed with the scope. Its name has the process, so that a later push finds it. @internal */
export const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const { dirname } = yield* Path.Path
  const prefix = `tinker-push-${(yield* Io.Io).hostname.replace(/[^\w-]/g, "_")}-`
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: `${prefix}${process.pid}-` })
  yield* removeStale(dirname(directory), prefix)
  return directory
})
