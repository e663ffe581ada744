/** File operations of the store: they sync what they write to the disk, and replace directories atomically. */
import type { PlatformError } from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as layout from "./layout.ts"

/** The root directory of a store, and access to its file system. @internal */
export interface Root {
  readonly directory: string
  readonly fs: FileSystem.FileSystem
  readonly join: Path.Path["join"]
  /** names the process: temporary directories of others are not touched while they run */
  readonly instance: string
}

/** Mode of directories: other users of the machine may not enter them. @internal */
export const privateDirectory = 0o700

/** Writes a file that only its owner may read, and syncs it. @internal */
export const writeFile = ({ fs }: Root, file: string, content: Uint8Array) =>
  Effect.flatMap(fs.open(file, { flag: "w", mode: 0o600 }), (opened) =>
    Effect.flatMap(opened.writeAll(content), () => opened.sync)
  ).pipe(Effect.scoped)

/** Syncs a directory, so that a rename in it is durable. @internal */
export const syncDirectory = ({ fs }: Root, directory: string): Effect.Effect<void> =>
  // platforms that cannot open directories do not need it
  Effect.ignore(Effect.scoped(Effect.flatMap(fs.open(directory, { flag: "r" }), ({ sync }) => sync)))

/** Creates a directory and those above it that are missing, and syncs the directories in which they appear. @internal */
export const makeDirectory = (root: Root, directory: string): Effect.Effect<void, PlatformError> =>
  Effect.gen(function* () {
    if (yield* root.fs.exists(directory)) return
    const parent = root.join(directory, "..")
    if (parent !== directory) yield* makeDirectory(root, parent)
    // another process may create it meanwhile
    yield* root.fs.makeDirectory(directory, { recursive: true, mode: privateDirectory })
    yield* syncDirectory(root, parent)
  })

/** A temporary directory on the same file system as the checkpoints. It is removed when the scope closes. @internal */
export const temporaryDirectory = ({ directory, fs, instance }: Root) =>
  fs.makeTempDirectoryScoped({ directory, prefix: `${layout.temporaryPrefix}${instance}.` })

/** Removes a directory atomically: it is renamed first, and its files are deleted afterwards. @internal */
export const removeDirectory = (root: Root, directory: string) =>
  Effect.gen(function* () {
    const temporary = yield* temporaryDirectory(root)
    yield* root.fs.rename(directory, root.join(temporary, "gone"))
    yield* syncDirectory(root, root.join(directory, ".."))
  }).pipe(Effect.scoped)

/** Renames `from` to `to`; the directory at `to`, if there is one, first moves to `replaced`. @internal */
export const moveInPlace = (root: Root, from: string, to: string, replaced: string | undefined) =>
  Effect.gen(function* () {
    const { fs } = root
    // if the process stops between the two renames, `recovery` finds the replaced directory
    if (replaced !== undefined) yield* fs.rename(to, replaced)
    const undo = replaced === undefined ? Effect.void : Effect.ignore(fs.rename(replaced, to))
    yield* Effect.tapError(fs.rename(from, to), () => undo)
    yield* syncDirectory(root, root.join(to, ".."))
  }).pipe(Effect.uninterruptible)

/** The visible entries of a directory; none if it does not exist. @internal */
export const entries = ({ fs }: Root, directory: string) =>
  fs.exists(directory).pipe(
    Effect.flatMap((exists) => (exists ? fs.readDirectory(directory) : Effect.succeed([]))),
    Effect.map((names) => names.filter((name) => !name.startsWith(".")))
  )
