/** Makes the files of a store private to the user, whoever made them: earlier versions left them to the process's umask. */
import type { PlatformError } from "@effect/platform/Error"
import * as Effect from "effect/Effect"
import * as directories from "../directories.ts"
import * as layout from "../layout.ts"
import * as storedInfo from "../storedInfo.ts"

const forOthers = 0o077

/** Whether other users of the machine may open it. */
const isOpen = ({ fs }: directories.Root, path: string) =>
  Effect.map(fs.stat(path), ({ mode }) => (mode & forOthers) !== 0)

const tighten = (root: directories.Root, path: string, mode: number): Effect.Effect<void, PlatformError> =>
  Effect.flatMap(isOpen(root, path), (open) => (open ? root.fs.chmod(path, mode) : Effect.void))

/** A directory of the store with all that is in it, last itself: one that is private was done before. */
const tightenDirectory = (root: directories.Root, directory: string): Effect.Effect<void, PlatformError> =>
  Effect.gen(function* () {
    if (!(yield* isOpen(root, directory))) return
    for (const name of yield* root.fs.readDirectory(directory)) {
      const path = root.join(directory, name)
      const { type } = yield* root.fs.stat(path)
      yield* type === "Directory" ? tightenDirectory(root, path) : tighten(root, path, 0o600)
    }
    yield* root.fs.chmod(directory, directories.privateDirectory)
  })

const isOwn = (name: string, runs: ReadonlySet<string>): boolean => runs.has(name) || /^tinker\.db(-|$)/.test(name)

/** The directory of the store, and those of its runs. A directory that has other files too keeps its own mode. @internal */
export const makePrivate = Effect.fnUntraced(function* (root: directories.Root) {
  const runs = new Set<string>()
  for (const path of yield* storedInfo.paths(root)) {
    const [run] = layout.segmentsOf(path) ?? []
    if (run !== undefined) runs.add(run)
  }
  if (runs.size === 0) return
  for (const run of runs) yield* tightenDirectory(root, root.join(root.directory, run))
  const names = yield* directories.entries(root, root.directory)
  if (names.every((name) => isOwn(name, runs))) yield* tighten(root, root.directory, directories.privateDirectory)
})
