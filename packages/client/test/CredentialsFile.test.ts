import * as Credentials from "@effect-tinker/client/Credentials"
import * as CredentialsFile from "@effect-tinker/client/CredentialsFile"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Layer, Redacted } from "effect"
import { withWarnings } from "@effect-tinker/testing/Logs"

const stored = { version: 1, default: "7", keys: { 7: { type: "manual", key: "tml-stored", name: "a", note: null } } }

/** A file with this content that only its owner can read, in a new directory. */
const makeFile = (content: unknown) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped()
    const file = `${directory}/credentials.json`
    yield* fs.writeFileString(file, typeof content === "string" ? content : JSON.stringify(content))
    yield* fs.chmod(file, 0o600)
    return { fs, directory, file }
  })

const json = (fs: FileSystem.FileSystem, file: string) =>
  Effect.map(fs.readFileString(file), (text): unknown => JSON.parse(text))

const fromFile = (file: string) =>
  Effect.flatMap(Credentials.make({ file }), (credentials) =>
    Effect.map(credentials.get({ commandFirst: false, fresh: false }), Redacted.value)
  )

describe("the file of stored keys", () => {
  it.scopedLive("is written back with all fields that it had, also those of a later release", () =>
    Effect.gen(function* () {
      const content = {
        ...stored,
        telemetry: { seen: [1] },
        keys: { 7: { ...stored.keys[7], scopes: ["all"] }, constructor: { key: "tml-other", type: null } }
      }
      const { file, fs } = yield* makeFile(content)
      const keys = yield* CredentialsFile.read(file)
      assert.strictEqual(CredentialsFile.defaultKey(keys)?.id, "7")
      assert.notInclude(JSON.stringify(keys), "tml-")
      yield* CredentialsFile.write(file, keys)
      assert.deepStrictEqual(yield* json(fs, file), content)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive("is read with version 1 or none, and is an error with another version", () =>
    Effect.gen(function* () {
      const { version: _, ...unversioned } = stored
      for (const content of [stored, unversioned]) {
        const { file } = yield* makeFile(content)
        assert.strictEqual(yield* fromFile(file), "tml-stored")
      }
      const later = yield* makeFile({ ...stored, version: 2 })
      for (const failure of [Effect.asVoid(CredentialsFile.read(later.file)), Effect.asVoid(fromFile(later.file))]) {
        const error = yield* Effect.flip(failure)
        assert.include(error.message, "is of version 2, and this release knows version 1")
        assert.include(error.message, later.file)
      }
      for (const broken of ['{"keys": "tml-secret"', { ...stored, version: "tml-secret" }, ["tml-secret"]]) {
        const { file } = yield* makeFile(broken)
        const error = yield* Effect.flip(fromFile(file))
        assert.include(error.message, "does not hold stored keys")
        assert.notInclude(error.message + JSON.stringify(error), "secret")
      }
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive("has no default key if the default names no stored key", () =>
    Effect.gen(function* () {
      const keys = { ...stored.keys, null: stored.keys[7], undefined: stored.keys[7] }
      for (const name of ["8", "constructor", "__proto__", null, undefined]) {
        const { file } = yield* makeFile({ ...stored, keys, default: name })
        assert.isUndefined(CredentialsFile.defaultKey(yield* CredentialsFile.read(file)))
        assert.include((yield* Effect.flip(fromFile(file))).message, "is missing")
      }
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive("stays a symbolic link, and the file that it leads to is replaced, or made", () =>
    Effect.gen(function* () {
      const { directory, file, fs } = yield* makeFile(stored)
      const link = `${directory}/home/.tinker/credentials.json`
      yield* fs.makeDirectory(`${directory}/home/.tinker`, { recursive: true })
      yield* fs.symlink("../../second.json", link)
      yield* fs.symlink("credentials.json", `${directory}/second.json`)
      const keys = yield* CredentialsFile.read(link)
      yield* CredentialsFile.write(link, { ...keys, default: undefined })
      assert.strictEqual(yield* fs.readLink(link), "../../second.json")
      assert.strictEqual(yield* fs.readLink(`${directory}/second.json`), "credentials.json")
      assert.deepStrictEqual(yield* json(fs, file), { version: 1, keys: stored.keys })
      yield* fs.remove(file)
      assert.deepStrictEqual(yield* CredentialsFile.read(link), { version: 1, keys: {} })
      yield* CredentialsFile.write(link, keys)
      assert.deepStrictEqual(yield* json(fs, file), stored)
      assert.deepStrictEqual((yield* fs.readDirectory(directory)).toSorted(), [
        "credentials.json",
        "home",
        "second.json"
      ])
      yield* fs.remove(`${directory}/second.json`)
      yield* fs.symlink("second.json", `${directory}/second.json`)
      assert.strictEqual((yield* Effect.flip(CredentialsFile.write(link, keys)))._tag, "FileError")
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive("is read with a warning where other users can read or replace it, and tightened when written", () =>
    Effect.gen(function* () {
      const { directory, file, fs } = yield* makeFile(stored)
      assert.deepStrictEqual((yield* withWarnings(fromFile(file))).lines, [])
      yield* fs.chmod(file, 0o644)
      yield* fs.chmod(directory, 0o775)
      const { lines, value } = yield* withWarnings(fromFile(file))
      assert.strictEqual(value, "tml-stored")
      assert.strictEqual(lines.length, 2)
      assert.include(lines[0], `chmod 600 ${file}`)
      assert.include(lines[1], `chmod 700 ${directory}`)
      yield* CredentialsFile.write(file, yield* CredentialsFile.read(file))
      assert.strictEqual((yield* fs.stat(file)).mode & 0o777, 0o600)
      assert.strictEqual((yield* fs.stat(directory)).mode & 0o777, 0o700)
      assert.deepStrictEqual((yield* withWarnings(fromFile(file))).lines, [])
    }).pipe(Effect.provide(NodeContext.layer))
  )
})

const systemError = (reason: PlatformError.SystemErrorReason) =>
  new PlatformError.SystemError({ reason, module: "FileSystem", method: "any", description: "as the test says" })

const info = (mode: number, size = 100) => ({ mode, size: FileSystem.Size(size) }) as FileSystem.File.Info

describe("a file of stored keys that is read", () => {
  /** Reads `/home/keys.json`, or the file that is given. */
  const readWith = (
    stat: (path: string) => Effect.Effect<FileSystem.File.Info, PlatformError.PlatformError>,
    file = "/home/keys.json"
  ) =>
    withWarnings(Effect.either(CredentialsFile.read(file))).pipe(
      Effect.provide(FileSystem.layerNoop({ stat, readFileString: () => Effect.succeed(JSON.stringify(stored)) }))
    )

  it.effect.each([
    ["private to its owner", 0o700, []],
    ["readable by others", 0o755, []],
    ["writable by others", 0o722, ["chmod 700 /home"]],
    ["where everybody may add files and nobody replaces those of others", 0o1777, []]
  ] as const)("warns of a directory that others can write to: one %s", ([, mode, warnings]) =>
    Effect.gen(function* () {
      const { lines, value } = yield* readWith((path) => Effect.succeed(info(path === "/home" ? mode : 0o600)))
      assert.isTrue(Either.isRight(value))
      assert.strictEqual(lines.length, warnings.length)
      for (const [i, warning] of warnings.entries()) assert.include(lines[i], warning)
    })
  )

  it.effect("may be in the root directory, and its permissions may be unknown", () =>
    Effect.gen(function* () {
      const root = yield* readWith((path) => Effect.succeed(info(path === "/" ? 0o777 : 0o600)), "/keys.json")
      assert.include(root.lines[0], "chmod 700 /")
      const unknown = yield* readWith((path) =>
        path === "/home" ? Effect.fail(systemError("PermissionDenied")) : Effect.succeed(info(0o600))
      )
      assert.deepStrictEqual([Either.isRight(unknown.value), unknown.lines], [true, []])
    })
  )

  it.effect("is a megabyte at most, and an error that names it where it cannot be read", () =>
    Effect.gen(function* () {
      const size = (bytes: number) =>
        Effect.map(
          readWith(() => Effect.succeed(info(0o600, bytes))),
          ({ value }) => value
        )
      assert.isTrue(Either.isRight(yield* size(2 ** 20)))
      const large = yield* Effect.flip(Effect.flatten(size(2 ** 20 + 1)))
      assert.deepStrictEqual(
        [large.path, large.reason],
        ["/home/keys.json", "is too large to hold stored keys: move it away"]
      )
      const failing = [
        systemError("PermissionDenied"),
        new PlatformError.BadArgument({ module: "FileSystem", method: "any", description: "odd" })
      ]
      for (const cause of failing) {
        const { value } = yield* readWith(() => Effect.fail(cause))
        const error = yield* Effect.flip(value)
        assert.strictEqual(error.reason, `cannot be read: ${cause.message}`)
      }
      const { value } = yield* readWith(() => Effect.fail(systemError("NotFound")))
      assert.deepStrictEqual(yield* value, { version: 1, keys: {} })
    })
  )

  it.effect("is none for a program without a file system", () =>
    Effect.gen(function* () {
      assert.include((yield* Effect.flip(Credentials.make({ file: "/home/keys.json" }))).message, "is missing")
    })
  )
})

describe("a file of stored keys that is written", () => {
  const keys = { version: 1, keys: {} } as const

  it.scopedLive("gets a private directory where there is none, and keeps the one that there is", () =>
    Effect.gen(function* () {
      const { directory, fs } = yield* makeFile(stored)
      const modeOf = (path: string) => Effect.map(fs.stat(path), ({ mode }) => mode & 0o7777)
      yield* CredentialsFile.write(`${directory}/new/deep/keys.json`, keys)
      assert.strictEqual(yield* modeOf(`${directory}/new/deep`), 0o700)
      for (const mode of [0o755, 0o1777]) {
        yield* fs.chmod(directory, mode)
        yield* CredentialsFile.write(`${directory}/keys.json`, keys)
        assert.strictEqual(yield* modeOf(directory), mode)
      }
      assert.deepStrictEqual((yield* fs.readDirectory(directory)).toSorted(), ["credentials.json", "keys.json", "new"])
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive("is drafted beside it, synced, and renamed", () =>
    Effect.gen(function* () {
      const { directory, fs } = yield* makeFile(stored)
      const drafts: Array<unknown> = []
      const recording = Layer.succeed(FileSystem.FileSystem, {
        ...fs,
        makeTempFileScoped: (options) => {
          drafts.push(options)
          return fs.makeTempFileScoped(options)
        },
        rename: (from, to) => {
          drafts.push(from.startsWith(`${directory}/.credentials-`), to)
          return fs.rename(from, to)
        }
      } satisfies FileSystem.FileSystem)
      yield* Effect.provide(CredentialsFile.write(`${directory}/keys.json`, keys), recording)
      assert.deepStrictEqual(drafts, [{ directory, prefix: ".credentials-" }, true, `${directory}/keys.json`])
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive("is reached over fewer links than forty", () =>
    Effect.gen(function* () {
      const { directory, fs } = yield* makeFile(stored)
      yield* Effect.forEach(
        Array.from({ length: 40 }, (_, i) => i),
        (i) => fs.symlink(`link${i}`, `${directory}/link${i + 1}`)
      )
      yield* CredentialsFile.write(`${directory}/link39`, keys)
      assert.deepStrictEqual(yield* json(fs, `${directory}/link0`), { version: 1, keys: {} })
      const error = yield* Effect.flip(CredentialsFile.write(`${directory}/link40`, keys))
      assert.deepStrictEqual(
        [error.method, error.path, error.reason, error.cause],
        ["Credentials", `${directory}/link40`, "is a symbolic link that leads nowhere: remove it", undefined]
      )
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive("is an error with its cause where it cannot be, and a warning where its directory stays open", () =>
    Effect.gen(function* () {
      const { directory, file, fs } = yield* makeFile(stored)
      const error = yield* Effect.flip(CredentialsFile.write(`${file}/keys.json`, keys))
      assert.strictEqual(error.path, `${file}/keys.json`)
      assert.match(error.reason, /^cannot be written: ./)
      assert.propertyVal(error.cause, "_tag", "SystemError")
      yield* fs.chmod(directory, 0o777)
      const refusing = Layer.succeed(FileSystem.FileSystem, {
        ...fs,
        chmod: (path, mode) =>
          path === directory ? Effect.fail(systemError("PermissionDenied")) : fs.chmod(path, mode)
      } satisfies FileSystem.FileSystem)
      const { lines } = yield* withWarnings(
        Effect.provide(CredentialsFile.write(`${directory}/keys.json`, keys), Layer.merge(refusing, Path.layer))
      )
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], `other users of this machine can replace files in ${directory}: PermissionDenied`)
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
