import * as Credentials from "@effect-tinker/client/Credentials"
import * as CredentialsFile from "@effect-tinker/client/CredentialsFile"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
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
      for (const name of ["8", "constructor", "__proto__", null]) {
        const { file } = yield* makeFile({ ...stored, default: name })
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
