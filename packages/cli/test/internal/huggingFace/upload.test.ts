import { assert, describe, it } from "@effect/vitest"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as library from "@huggingface/hub"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeFetch } from "../../../src/internal/huggingFace/request.ts"
import { regularFiles, upload } from "../../../src/internal/huggingFace/upload.ts"
import { directory } from "../../utils/fixtures.ts"
import { makeHub, token } from "../../utils/hub.ts"
import { makeTerminal } from "../../utils/terminal.ts"

/** A clock by which the progress bar may be redrawn at every event. */
const withFastClock = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.clock, (clock) => {
    let now = 0
    const currentTimeMillis = Effect.sync(() => (now += 1000))
    return Effect.withClock(self, Object.assign(Object.create(clock), { currentTimeMillis }))
  })

describe("an upload", () => {
  it.scopedLive("shows its progress in bytes at a terminal, over the parts of large files", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub({ partSize: 100_000 })
      yield* hub.create("ada/adapter", { access: "private", files: {} })
      const path = yield* directory
      writeFileSync(join(path, "a.safetensors"), new Uint8Array(1_000_000))
      writeFileSync(join(path, "empty.json"), "")
      const { layer, shown } = makeTerminal()
      const fetchOfHub = yield* makeFetch({ endpoint: hub.url, token, onPause: () => Effect.void }, fetch)
      const client = { library, endpoint: hub.url, token, fetch: fetchOfHub }
      const files = ["a.safetensors", "empty.json"]
      const options = { directory: path, files, title: "t", createPr: false, format: "table" as const }
      yield* upload(client, { repo: "ada/adapter", branch: undefined }, options, Effect.succeed(undefined)).pipe(
        withFastClock,
        Effect.provide([layer, NodeContext.layer])
      )
      const stored = yield* hub.filesAt("ada/adapter")
      assert.deepStrictEqual(
        Object.entries(stored!).map(([name, { length }]) => [name, length]),
        [
          ["a.safetensors", 1_000_000],
          ["empty.json", 0]
        ]
      )
      const text = shown.join("")
      assert.include(text, "Hashing a.safetensors")
      const amounts = new Set(text.match(/Uploading a\.safetensors \S+ [\d.]+ \w+\/[\d.]+ \w+/g))
      assert.isAbove(amounts.size, 5, text)
    })
  )

  it.scopedLive("takes regular files only: no links, which may lead elsewhere, and no directories", () =>
    Effect.gen(function* () {
      const path = yield* directory
      writeFileSync(join(path, "file"), "x")
      symlinkSync("/etc/hostname", join(path, "link"))
      symlinkSync("/nonexistent", join(path, "broken"))
      mkdirSync(join(path, "folder"))
      assert.deepStrictEqual(yield* regularFiles(path).pipe(Effect.provide(NodeContext.layer)), ["file"])
    })
  )
})
