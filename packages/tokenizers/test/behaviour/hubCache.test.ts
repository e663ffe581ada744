import * as FakeHub from "@effect-tinker/testing/FakeHub"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { denied, files, load, makeHub, readOnlyDisk, ref, tokenizerJson, urls, withCache } from "../utils/hub.ts"

const offline = { offline: true }

/** What Python leaves behind when a program asked it for one file: the file, and the commit of the branch. */
const cacheOneFile = (cache: string, commit: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const snapshot = `${cache}/models--org--model/snapshots/${commit}`
    yield* fs.makeDirectory(snapshot, { recursive: true })
    yield* fs.makeDirectory(`${cache}/models--org--model/refs`)
    yield* fs.writeFileString(`${cache}/models--org--model/refs/main`, commit)
    yield* fs.writeFileString(`${snapshot}/tokenizer.json`, tokenizerJson)
    return snapshot
  })

describe("the cache of the hub", () => {
  it.scoped("accepts a revision, and finds a downloaded one while offline", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const hub = yield* makeHub({ repositories: { "org/model": { files, revisions: { "refs/pr/7": files } } } })
        const wanted = { repo: "org/model", revision: "refs/pr/7" }
        const missing = yield* Effect.flip(load(hub, { cache, ...offline }, wanted))
        assert.strictEqual(missing.reason, "NotCached")
        assert.match(missing.message, /org\/model at refs\/pr\/7: .* unset HF_HUB_OFFLINE/)
        const fetched = yield* load(hub, { cache }, wanted)
        assert.strictEqual((yield* urls(hub))[0], "hub.test/api/models/org/model/revision/refs%2Fpr%2F7?blobs=true")
        yield* hub.clearRequests
        assert.deepStrictEqual(yield* load(hub, { cache, ...offline }, wanted), fetched)
        assert.strictEqual((yield* Effect.flip(load(hub, { cache, ...offline }))).reason, "NotCached")
        assert.deepStrictEqual(yield* hub.requests, [])
      })
    )
  )

  it.scoped("works online and offline when it can only be read, and writes nothing when nothing changed", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const hub = yield* makeHub()
        const fetched = yield* load(hub, { cache })
        let writes = 0
        const disk = readOnlyDisk(() => writes++)
        assert.deepStrictEqual(yield* load(hub, { cache }, ref, disk), fetched)
        assert.deepStrictEqual(yield* load(hub, { cache, ...offline }, ref, disk), fetched)
        assert.deepStrictEqual(yield* load(hub, { cache }, { ...ref, revision: fetched.commit }, disk), fetched)
        assert.strictEqual(writes, 0)
      })
    )
  )

  it.scoped("does not fail because a branch or an absence cannot be recorded", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const hub = yield* makeHub()
        const fetched = yield* load(hub, { cache })
        yield* fs.remove(`${cache}/models--org--model/refs`, { recursive: true })
        yield* fs.remove(`${cache}/models--org--model/.no_exist`, { recursive: true })
        assert.deepStrictEqual(yield* load(hub, { cache }, ref, readOnlyDisk()), fetched)
      })
    )
  )

  it.scoped("keeps the cached commit when a newer one cannot be written", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const hub = yield* makeHub()
        const fetched = yield* load(hub, { cache })
        yield* hub.push("org/model", { "tokenizer.json": "{}" })
        assert.deepStrictEqual(yield* load(hub, { cache }, ref, readOnlyDisk()), fetched)
      })
    )
  )

  it.scoped.each([["main"], ["the commit"]])(
    "fetches the rest of a snapshot of which Python stored tokenizer.json alone, at %s",
    ([name]) =>
      withCache((cache) =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          const hub = yield* makeHub()
          const commit = yield* hub.commitOf("org/model")
          const snapshot = yield* cacheOneFile(cache, commit)
          const wanted = { ...ref, revision: name === "main" ? "main" : commit }
          const missing = yield* Effect.flip(load(hub, { cache, ...offline }, wanted))
          assert.strictEqual(missing.reason, "NotCached")
          assert.include(missing.message, "tokenizer_config.json, special_tokens_map.json, chat_template.jinja")
          yield* hub.setFault(() => FakeHub.connectionLost)
          assert.strictEqual((yield* Effect.flip(load(hub, { cache }, wanted))).reason, "Unreachable")
          yield* hub.setFault(undefined)
          yield* hub.clearRequests
          assert.strictEqual((yield* load(hub, { cache }, wanted)).directory, snapshot)
          assert.strictEqual(yield* fs.readFileString(`${snapshot}/chat_template.jinja`), "{{ messages }}")
          assert.isFalse((yield* hub.requests).some(({ file }) => file === "tokenizer.json"))
          yield* hub.clearRequests
          assert.strictEqual((yield* load(hub, { cache, ...offline }, wanted)).directory, snapshot)
          assert.strictEqual((yield* load(hub, { cache }, { ...ref, revision: commit })).directory, snapshot)
          assert.deepStrictEqual(yield* hub.requests, [])
        })
      )
  )

  it.scoped("takes a file that Python listed as absent for absent, and one that it did not list for unknown", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const hub = yield* makeHub()
        const commit = yield* hub.commitOf("org/model")
        const snapshot = yield* cacheOneFile(cache, commit)
        const wanted = { ...ref, revision: commit }
        yield* fs.makeDirectory(`${cache}/models--org--model/trees`)
        const list = (names: ReadonlyArray<string>) => {
          const entry = { size: Buffer.byteLength(tokenizerJson), blob_id: "a".repeat(40), lfs_sha256: null }
          const tree = { format_version: 1, files: Object.fromEntries(names.map((name) => [name, entry])) }
          return fs.writeFileString(`${cache}/models--org--model/trees/${commit}.json`, JSON.stringify(tree))
        }
        yield* list(["tokenizer.json", "tokenizer_config.json"])
        assert.strictEqual((yield* Effect.flip(load(hub, { cache, ...offline }, wanted))).reason, "NotCached")
        yield* fs.writeFileString(`${cache}/models--org--model/trees/${commit}.json`, "not a list")
        assert.strictEqual((yield* Effect.flip(load(hub, { cache, ...offline }, wanted))).reason, "NotCached")
        // The list has no hash of this file that its content could be held to.
        const { size } = yield* fs.stat(`${snapshot}/tokenizer.json`)
        const tree = { format_version: 1, files: { "tokenizer.json": { size: Number(size), blob_id: "unknown" } } }
        yield* fs.writeFileString(`${cache}/models--org--model/trees/${commit}.json`, JSON.stringify(tree))
        assert.strictEqual((yield* load(hub, { cache }, wanted)).directory, snapshot)
        assert.deepStrictEqual(yield* hub.requests, [])
      })
    )
  )

  it.scoped.each<[string, FakeHub.Fault]>([
    ["responds with 401", FakeHub.respond(401, { "x-error-message": "Invalid credentials in Authorization header" })],
    ["responds with 403 of a proxy", FakeHub.respond(403, {}, "<html>blocked</html>")],
    ["responds that the repository is gated", FakeHub.respond(403, { "x-error-code": "GatedRepo" })],
    ["responds with 404 for the repository", FakeHub.respond(404, { "x-error-code": "RepoNotFound" })],
    ["responds with 503", FakeHub.respond(503)],
    ["responds with the page of a proxy", FakeHub.respond(200, {}, "<html>sign in</html>")],
    ["asks to wait", FakeHub.busy(30)],
    ["cannot be reached", FakeHub.connectionLost],
    ["says nothing", FakeHub.silence],
    ["stops within its response", FakeHub.silenceAfter(20)]
  ])("is used within 5 seconds when the hub %s", ([, fault]) =>
    withCache((cache) =>
      Effect.gen(function* () {
        const hub = yield* makeHub()
        const fetched = yield* load(hub, { cache })
        yield* hub.setFault(() => fault)
        yield* hub.clearRequests
        const before = yield* Clock.currentTimeMillis
        assert.deepStrictEqual(yield* load(hub, { cache }), fetched)
        assert.isAtMost((yield* Clock.currentTimeMillis) - before, 6000)
        assert.strictEqual((yield* hub.requests).length, 1)
      })
    )
  )

  it.scoped("does not hide that a branch was deleted", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const hub = yield* makeHub()
        yield* load(hub, { cache })
        yield* hub.setFault(() => FakeHub.respond(404, { "x-error-code": "RevisionNotFound" }))
        const error = yield* Effect.flip(load(hub, { cache }))
        assert.strictEqual(error.reason, "NotFound")
        assert.include(error.message, "https://hub.test/org/model has no branch, tag or commit of this name")
      })
    )
  )

  it.scoped.each<[string, string]>([
    ["shorter than", tokenizerJson.slice(0, 100)],
    ["as long as", tokenizerJson.replace("ü", "ö")]
  ])("replaces a file on disk that is damaged but %s the original", ([, damaged]) =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const hub = yield* makeHub()
        const { commit, directory } = yield* load(hub, { cache })
        const file = `${directory}/tokenizer.json`
        for (const revision of ["main", commit]) {
          yield* fs.writeFileString(file, damaged)
          const error = yield* Effect.flip(load(hub, { cache, ...offline }, { ...ref, revision }))
          assert.strictEqual(error.reason, "NotCached")
          assert.include(error.message, "lacks tokenizer.json")
          yield* load(hub, { cache }, { ...ref, revision })
          assert.strictEqual(yield* fs.readFileString(file), tokenizerJson)
        }
      })
    )
  )

  it.scoped("copies files where links are not possible", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const hub = yield* makeHub()
        const disk = Layer.succeed(FileSystem.FileSystem, { ...fs, symlink: () => denied("symlink") })
        const { commit, directory } = yield* load(hub, { cache }, ref, disk)
        assert.strictEqual((yield* fs.stat(`${directory}/tokenizer.json`)).type, "File")
        assert.strictEqual(yield* fs.readFileString(`${directory}/tokenizer.json`), tokenizerJson)
        yield* hub.clearRequests
        yield* load(hub, { cache }, { ...ref, revision: commit }, disk)
        assert.deepStrictEqual(yield* hub.requests, [])
      })
    )
  )

  it.scoped("flushes a file to disk before it gets its name", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const events: Array<string> = []
        const note = (event: string) =>
          Effect.sync(() => void events.push(event.replace(`${cache}/models--org--model/`, "")))
        const disk = Layer.succeed(FileSystem.FileSystem, {
          ...fs,
          open: (path, options) =>
            Effect.map(
              fs.open(path, options),
              (file) =>
                Object.create(file, {
                  sync: { value: Effect.flatMap(note(`sync ${path}`), () => file.sync) }
                }) as FileSystem.File
            ),
          rename: (from, to) => Effect.flatMap(note(`rename ${from}`), () => fs.rename(from, to))
        })
        yield* load(yield* makeHub(), { cache }, ref, disk)
        const renames = events.filter((event) => /^rename (blobs|refs)/.test(event))
        assert.isAtLeast(renames.length, 4)
        for (const rename of renames) {
          const synced = events.indexOf(rename.replace("rename", "sync"))
          assert.isAtLeast(synced, 0)
          assert.isBelow(synced, events.indexOf(rename))
        }
      })
    )
  )

  it.scoped("removes what a killed download left behind, once it is a day old", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const blobs = `${cache}/models--org--model/blobs`
        yield* fs.makeDirectory(blobs, { recursive: true })
        yield* fs.writeFileString(`${blobs}/${"a".repeat(64)}.x.incomplete`, "old")
        yield* fs.utimes(`${blobs}/${"a".repeat(64)}.x.incomplete`, 1000, 1000)
        yield* TestClock.setTime(1000_000 + 25 * 3600_000)
        yield* fs.writeFileString(`${blobs}/${"b".repeat(64)}.x.incomplete`, "of a process that runs")
        yield* load(yield* makeHub(), { cache })
        const left = (yield* fs.readDirectory(blobs)).filter((name) => name.endsWith(".incomplete"))
        assert.deepStrictEqual(left, [`${"b".repeat(64)}.x.incomplete`])
      })
    )
  )

  it.scoped("reports a cache that cannot be written", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(load(yield* makeHub(), { cache }, ref, readOnlyDisk()))
        assert.strictEqual(error.reason, "Cache")
        assert.include(error.message, "Set HF_HUB_CACHE")
      })
    )
  )
})
