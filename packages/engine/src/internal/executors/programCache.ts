/** Keeps lowered programs on disk, so that later processes need not trace, lower and optimize them again. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Entry } from "./programFile.ts"
import * as programFile from "./programFile.ts"

/** What is kept is found again by a text that says all that it depends on. Nothing here fails: it is then as if empty. @internal */
export interface ProgramCache {
  readonly read: (key: string) => Effect.Effect<Entry | undefined>
  readonly write: (key: string, entry: Entry) => Effect.Effect<void>
  /** Gives a function the name of a file in the cache to write, and returns what it wrote. */
  readonly written: <A, E>(
    use: (file: string | undefined) => Effect.Effect<A, E>
  ) => Effect.Effect<readonly [A, Uint8Array | undefined], E>
}

/** A cache that keeps nothing. @internal */
export const none: ProgramCache = {
  read: () => Effect.succeed(undefined),
  write: () => Effect.void,
  written: (use) => Effect.map(use(undefined), (value) => [value, undefined])
}

/** What all files together may take, in bytes: the programs of dozens of models. */
const mostBytes = 64 * 2 ** 20

const suffix = ".program"

interface Disk {
  readonly fs: FileSystem.FileSystem
  readonly path: Path.Path
  readonly directory: string
}

const optional = (name: string) => Config.option(Config.nonEmptyString(name))

const variables = Config.all({
  xdg: optional("XDG_CACHE_HOME"),
  local: optional("LOCALAPPDATA"),
  home: optional("HOME")
})

/** The directory for this in the user's cache; `undefined` if the environment names none. */
const defaultDirectory = ({ isAbsolute, join }: Path.Path) =>
  variables.pipe(
    Effect.map(({ home, local, xdg }) => {
      const homeCache = Option.map(home, (home) => join(home, ".cache"))
      const base = Option.getOrUndefined(xdg.pipe(Option.orElse(() => local), Option.orElse(() => homeCache))) // prettier-ignore
      return base !== undefined && isAbsolute(base) ? join(base, "effect-tinker", "programs") : undefined
    }),
    Effect.orElseSucceed(() => undefined)
  )

const ownPath = "/internal/executors/programCache."

/**
 * Tells this code from any other that would lower a program differently: by its version, and by the sizes and times of its
 * files, which change while it is developed. `undefined` where its files are not there, as in a bundle.
 */
const codeVersion = (path: Path.Path, fs: FileSystem.FileSystem) =>
  Effect.gen(function* () {
    const at = import.meta.url.lastIndexOf(ownPath)
    if (at < 0) return undefined
    const root = yield* path.fromFileUrl(new URL(`${import.meta.url.slice(0, at)}/`))
    const names = (yield* fs.readDirectory(root, { recursive: true })).filter((name) => /(?<!\.d)\.[jt]s$/.test(name))
    const files = yield* Effect.forEach(
      names.sort(),
      (name) =>
        Effect.map(fs.stat(path.join(root, name)), ({ mtime, size }) => {
          const time = Option.match(mtime, { onNone: () => 0, onSome: (date) => date.getTime() })
          return `${name} ${size} ${time}`
        }),
      { concurrency: 16 }
    )
    return `${yield* fs.readFileString(path.join(root, "..", "package.json"))}\n${files.join("\n")}`
  }).pipe(Effect.orElseSucceed(() => undefined))

/** Whether the directory is there and no one else may write to it. */
const prepare = ({ directory, fs }: Disk): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    yield* fs.makeDirectory(directory, { recursive: true, mode: 0o700 })
    const { mode } = yield* fs.stat(directory)
    return (mode & 0o022) === 0
  }).pipe(Effect.orElseSucceed(() => false))

/** How old what a killed process left is before it is removed, in milliseconds. */
const abandonedAfter = 24 * 60 * 60 * 1000

/**
 * Removes the files that were written first, until the others take no more than they may, and what killed processes left
 * behind.
 */
const prune = ({ directory, fs, path }: Disk, limit: number) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const found = yield* Effect.forEach(yield* fs.readDirectory(directory), (name) =>
      Effect.map(Effect.option(fs.stat(path.join(directory, name))), (info) =>
        Option.toArray(info).map(({ mtime, size }) => ({
          name,
          bytes: Number(size),
          time: Option.match(mtime, { onNone: () => 0, onSome: (date) => date.getTime() })
        }))
      )
    )
    let bytes = 0
    for (const { bytes: own, name, time } of found.flat().sort((a, b) => b.time - a.time)) {
      const isProgram = name.endsWith(suffix)
      if (isProgram) bytes += own
      if (isProgram ? bytes <= limit : now - time < abandonedAfter) continue
      yield* Effect.ignore(fs.remove(path.join(directory, name), { force: true, recursive: true }))
    }
  })

const fileOf = ({ directory, path }: Disk, key: string) =>
  Effect.map(
    Effect.promise(() => programFile.digest(new TextEncoder().encode(key))),
    (hash) =>
      path.join(directory, `${Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("")}${suffix}`)
  )

const read = (disk: Disk, limit: number, key: string): Effect.Effect<Entry | undefined> =>
  Effect.gen(function* () {
    const file = yield* fileOf(disk, key)
    const { size } = yield* disk.fs.stat(file)
    if (Number(size) > limit) return undefined
    const bytes = yield* disk.fs.readFile(file)
    return yield* Effect.promise(() => programFile.decode(bytes))
  }).pipe(Effect.orElseSucceed(() => undefined))

/** A directory of its own in the cache, for a file that is not complete yet. */
const workplace = ({ directory, fs }: Disk) => fs.makeTempDirectoryScoped({ directory, prefix: "writing-" })

const write = (disk: Disk, limit: number, key: string, entry: Entry): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { fs, path } = disk
    const bytes = yield* Effect.promise(() => programFile.encode(entry))
    if (bytes.length > limit) return
    const temporary = path.join(yield* workplace(disk), "program")
    yield* fs.writeFile(temporary, bytes, { flag: "wx", mode: 0o600 })
    yield* fs.rename(temporary, yield* fileOf(disk, key))
    yield* prune(disk, limit)
  }).pipe(Effect.scoped, Effect.ignore)

const written =
  (disk: Disk): ProgramCache["written"] =>
  (use) =>
    Effect.gen(function* () {
      const { fs, path } = disk
      const directory = yield* Effect.option(workplace(disk))
      if (Option.isNone(directory)) return yield* none.written(use)
      const file = path.join(directory.value, "program")
      const value = yield* use(file)
      return [value, Option.getOrUndefined(yield* Effect.option(fs.readFile(file)))] as const
    }).pipe(Effect.scoped)

/**
 * A cache in a directory, by default in the user's cache directory; `false` for none. `machine` names what else programs
 * depend on. The directory and its files are for this user alone.
 *
 * @internal
 */
export const make = (
  given: string | false | undefined,
  machine: string,
  limit = mostBytes
): Effect.Effect<ProgramCache, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    if (given === false) return none
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const directory = given ?? (yield* defaultDirectory(path))
    if (directory === undefined) return none
    const disk: Disk = { fs, path, directory }
    const prefix = yield* Effect.cached(
      Effect.gen(function* () {
        const version = yield* codeVersion(path, fs)
        return version !== undefined && (yield* prepare(disk)) ? `${machine}\n${version}\n` : undefined
      })
    )
    return {
      read: (key) =>
        Effect.flatMap(prefix, (prefix) =>
          prefix === undefined ? Effect.succeed(undefined) : read(disk, limit, prefix + key)
        ),
      write: (key, entry) =>
        Effect.flatMap(prefix, (prefix) =>
          prefix === undefined ? Effect.void : write(disk, limit, prefix + key, entry)
        ),
      written: (use) =>
        Effect.flatMap(prefix, (prefix) => (prefix === undefined ? none.written(use) : written(disk)(use)))
    }
  })
