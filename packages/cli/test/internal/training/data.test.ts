import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as data from "../../../src/internal/training/data.ts"
import { directory } from "../../utils/fixtures.ts"

const lines = (count: number, split?: string) =>
  Array.from({ length: count }, (_, i) => JSON.stringify({ prompt: `p${i}`, completion: `c${i}`, split })).join("\n")

/** The data of these files, by their contents. */
const open = (files: { readonly [name: string]: string }, options: Partial<Parameters<typeof data.open>[0]> = {}) =>
  Effect.gen(function* () {
    const cwd = yield* directory
    for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text)
    const mix = (options.mix ?? []).map((file) => join(cwd, file))
    return yield* data.open({ file: join(cwd, "data.jsonl"), heldOut: 0.1, seed: 0, ...options, mix })
  }).pipe(Effect.provide(NodeContext.layer))

describe("the records of a training run", () => {
  it.scoped("hold out a fraction, at most 256, and never train what is held out", () =>
    Effect.gen(function* () {
      const small = yield* open({ "data.jsonl": lines(20) })
      assert.deepStrictEqual([small.train.size, small.test.size], [18, 2])
      const large = yield* open({ "data.jsonl": lines(3000) }, { heldOut: 0.5 })
      assert.deepStrictEqual([large.train.size, large.test.size], [2744, 256])
      const none = yield* open({ "data.jsonl": lines(5) }, { heldOut: 0.1 })
      assert.deepStrictEqual([none.train.size, none.test.size], [5, 0])
      const twice = yield* open({ "data.jsonl": `${lines(20)}\n${lines(20)}` })
      assert.deepStrictEqual(
        [twice.test.size, twice.overlap, twice.summaries[0]!.duplicates, twice.train.size],
        [4, 4, 20, 32]
      )
    })
  )

  it.scoped("hold out what the file marks, whatever the fraction", () =>
    Effect.gen(function* () {
      const text = `${lines(4)}\n${'{"prompt":"x","completion":"y","split":"test"}'}`
      const marked = yield* open({ "data.jsonl": text }, { heldOut: 0.9 })
      assert.deepStrictEqual([marked.train.size, marked.test.size], [4, 1])
    })
  )

  it.scoped("mix files by their weights, and refuse weights that are not numbers, or that only some have", () =>
    Effect.gen(function* () {
      const files = { "data.jsonl": lines(30), "b.jsonl": lines(30).replace(/"p(\d)/g, '"q$1'), "c.jsonl": lines(3) }
      const mixed = yield* open(files, { mix: ["b.jsonl=2"], heldOut: 0 })
      const first = yield* Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7, 8], (i) => mixed.train.at(i))
      const fromB = first.filter((record) => record._tag === "PromptCompletion" && record.prompt.startsWith("q"))
      assert.strictEqual(fromB.length, 6)
      const refused = (mix: ReadonlyArray<string>) => Effect.map(Effect.flip(open(files, { mix })), String)
      assert.include(yield* refused(["b.jsonl=x"]), "the weight is not a number above 0")
      assert.include(yield* refused(["b.jsonl=2", "c.jsonl"]), "give each file a weight")
    })
  )
})
