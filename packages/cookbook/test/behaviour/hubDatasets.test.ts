/** Data sets on a fake hub. */
import * as FakeHub from "@effect-tinker/testing/FakeHub"
import * as Hub from "@effect-tinker/tokenizers/Hub"
import * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import * as Dataset from "../../src/Dataset.ts"
import * as files from "../utils/files.ts"
import * as warnings from "../utils/warnings.ts"

const parquet = fileURLToPath(new URL("../fixtures/parquet/messages-zstd.parquet", import.meta.url))

const lines = (count: number) =>
  Array.from({ length: count }, (_, i) => `{"prompt":"${i}","completion":"c"}\n`).join("")

interface Place {
  readonly hub: FakeHub.FakeHub
  readonly withHub: <A, E, R>(
    effect: Effect.Effect<A, E, R | Hub.Hub>,
    options?: { readonly offline: boolean }
  ) => Effect.Effect<A, E, Exclude<R, Hub.Hub> | FileSystem.FileSystem | Path.Path>
}

const withRepository = <A, E>(
  use: (place: Place) => Effect.Effect<A, E, FileSystem.FileSystem | Path.Path | Scope.Scope>
) =>
  files.run(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory } = yield* files.temporary
      const hub = yield* FakeHub.make({
        repositories: {
          "datasets/org/chats": {
            files: {
              "README.md": "chats",
              "data/train-00000-of-00002.parquet": { content: yield* Effect.orDie(fs.readFile(parquet)), large: true },
              "data/train-00001-of-00002.parquet": { content: yield* Effect.orDie(fs.readFile(parquet)), large: true },
              "data/test-00000-of-00001.parquet": "not read"
            },
            revisions: { v2: { "train set.jsonl.gz": gzipSync(lines(3)) } }
          }
        }
      })
      return yield* use({
        hub,
        withHub: (effect, { offline } = { offline: false }) =>
          effect.pipe(
            Effect.provide(Hub.layer({ cache: `${directory}/cache`, endpoint: hub.endpoint, offline })),
            Effect.provide(hub.layer)
          )
      })
    })
  )

describe("a data set of the hub", () => {
  it.effect("has the records of all files of its split, which are downloaded once", () =>
    withRepository(({ hub, withHub }) =>
      Effect.gen(function* () {
        const data = yield* withHub(Dataset.fromHub("org/chats"))
        assert.strictEqual(data.size, 100)
        assert.strictEqual(data.summaries[1]!.duplicates, 50)
        assert.match(
          data.originOf(50).path,
          /datasets--org--chats\/snapshots\/.*\/data\/train-00001-of-00002\.parquet$/
        )
        const kinds = (yield* hub.requests).map(({ kind }) => kind)
        // the two files have the same content
        assert.strictEqual(kinds.filter((kind) => kind === "file").length, 1)
        yield* hub.clearRequests
        yield* withHub(Dataset.fromHub("org/chats"))
        assert.deepStrictEqual(
          (yield* hub.requests).map(({ kind }) => kind),
          ["metadata"]
        )
      })
    )
  )

  it.effect("has the records of a revision, also offline once it is in the cache", () =>
    withRepository(({ withHub }) =>
      Effect.gen(function* () {
        const open = Dataset.fromHub("org/chats", { revision: "v2", format: "prompt-completion" })
        assert.strictEqual((yield* Effect.flip(withHub(open, { offline: true })))._tag, "HubError")
        assert.strictEqual((yield* withHub(open)).size, 3)
        assert.strictEqual((yield* withHub(open, { offline: true })).size, 3)
      })
    )
  )

  it.effect("is read from the cache, with a warning, when the hub does not respond", () =>
    withRepository(({ hub, withHub }) =>
      Effect.gen(function* () {
        const logs = yield* warnings.make
        const open = withHub(Dataset.fromHub("org/chats", { revision: "v2" }))
        yield* open
        yield* hub.setFault(() => FakeHub.respond(200, {}, "a proxy"))
        const result = yield* Effect.either(open.pipe(Effect.provide(logs.layer)))
        assert.strictEqual(result._tag === "Right" ? result.right.size : result.left.message, 3)
        assert.match((yield* logs.messages).join(), /Using 1 cached files of/)
      })
    )
  )

  it.effect("says what there is, if there is no such split or repository", () =>
    withRepository(({ withHub }) =>
      Effect.gen(function* () {
        const messageOf = (repo: string, options: Dataset.HubOptions) =>
          Effect.map(Effect.flip(withHub(Dataset.fromHub(repo, options))), ({ message }) => message)
        assert.match(
          yield* messageOf("org/chats", { split: "validation" }),
          /^org\/chats: has no split validation: there is data\/test-/
        )
        assert.match(yield* messageOf("org/absent", {}), /^org\/absent at main: /)
        assert.match(yield* messageOf("../absent", {}), /not the name of a repository/)
      })
    )
  )
})
