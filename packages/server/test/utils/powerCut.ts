/** A file system that knows what a power cut would lose. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Path from "node:path"

/** What a file system holds in memory only. */
export interface Unsynced {
  /** files whose contents, and directories whose entries, are not synced */
  readonly paths: Set<string>
  /** what was moved in place before it was synced */
  readonly movedTooEarly: Array<string>
}

const isBelow = (path: string, directory: string) => path === directory || path.startsWith(`${directory}/`)

const isTemporary = (path: string) => path.split("/").some((name) => name.startsWith(".draft-"))

/** What a power cut would lose of the contents of a directory, without its temporary directories. */
export const lostBelow = ({ paths }: Unsynced, directory: string): ReadonlyArray<string> =>
  Array.from(paths)
    .filter((path) => isBelow(path, directory) && !isTemporary(path))
    .sort()

const watchFile = (file: FileSystem.File, path: string, { paths }: Unsynced): FileSystem.File =>
  new Proxy(file, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target)
      if (key === "sync") return Effect.tap(target.sync, () => Effect.sync(() => paths.delete(path)))
      if (typeof value !== "function") return value
      if (key === "writeAll" || key === "write") {
        paths.add(path)
        paths.add(Path.dirname(path))
      }
      return value.bind(target)
    }
  })

const moved = ({ movedTooEarly, paths }: Unsynced, from: string, to: string): void => {
  for (const path of Array.from(paths)) {
    if (!isBelow(path, from)) continue
    paths.delete(path)
    const place = `${to}${path.slice(from.length)}`
    paths.add(place)
    if (!isTemporary(place)) movedTooEarly.push(place)
  }
  paths.add(Path.dirname(from))
  paths.add(Path.dirname(to))
}

/** The directories that do not exist yet on the way to a directory. */
const missing = (fs: FileSystem.FileSystem, directory: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.flatMap(Effect.orDie(fs.exists(directory)), (exists) =>
    exists ? Effect.succeed([]) : Effect.map(missing(fs, Path.dirname(directory)), (above) => [...above, directory])
  )

const watch = (fs: FileSystem.FileSystem, unsynced: Unsynced): FileSystem.FileSystem => ({
  ...fs,
  open: (path, options) => Effect.map(fs.open(path, options), (file) => watchFile(file, path, unsynced)),
  makeDirectory: (path, options) =>
    Effect.flatMap(missing(fs, path), (created) =>
      Effect.tap(fs.makeDirectory(path, options), () =>
        Effect.sync(() => {
          for (const one of created) unsynced.paths.add(Path.dirname(one))
        })
      )
    ),
  rename: (from, to) => Effect.tap(fs.rename(from, to), () => Effect.sync(() => moved(unsynced, from, to)))
})

/** The services of Node with such a file system. */
export const layer = (unsynced: Unsynced) =>
  Layer.merge(
    NodeContext.layer,
    Layer.effect(
      FileSystem.FileSystem,
      Effect.map(FileSystem.FileSystem, (fs) => watch(fs, unsynced))
    ).pipe(Layer.provide(NodeContext.layer))
  )
