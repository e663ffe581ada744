import * as Renderer from "@effect-tinker/cookbook/Renderer"
import * as Json from "@effect-tinker/tokenizers/Json"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { type Conversation, differences } from "../utils/cookbookDifferences.ts"
import { type Example, makeCounter, render } from "../utils/cookbookExamples.ts"
import "../utils/needsVocabularies.ts"
import * as vocabularies from "../utils/vocabularies.ts"

interface Fixture {
  readonly modes: ReadonlyArray<Renderer.TrainOn>
  readonly conversations: ReadonlyArray<Conversation>
  /** of each renderer and vocabulary, for each conversation a hash for each mode */
  readonly hashes: { readonly [key: string]: ReadonlyArray<string> }
}

// by reference/render.py
const file = fileURLToPath(new URL("../fixtures/cookbook.json", import.meta.url))
const fixture = Either.getOrThrow(Json.parse(readFileSync(file, "utf8"))) as unknown as Fixture

/** FNV-1a, as the script that made the fixture computes it. */
const fnv = (bytes: Uint8Array): string => {
  let hash = 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash.toString(16).padStart(8, "0")
}

const hashOf = (example: Example | undefined): string => {
  if (example === undefined) return "refused"
  const arrays = [
    Int32Array.from(example.tokens),
    Float32Array.from(example.weights),
    Int32Array.from(example.targets),
    Float32Array.from(example.reduced)
  ]
  return fnv(Buffer.concat(arrays.map(({ buffer }) => new Uint8Array(buffer))))
}

describe("the examples of tinker-cookbook 0.6.1", () => {
  it("are of 200 conversations in seven modes", () => {
    assert.lengthOf(fixture.conversations, 200)
    assert.lengthOf(fixture.modes, 7)
  })

  for (const [key, hashes] of Object.entries(fixture.hashes)) {
    const [name, vocabulary] = key.split(" ") as [string, vocabularies.Name]
    it.effect(
      `are those of ${name} with the vocabulary of ${vocabulary}, but for the differences that are listed`,
      () =>
        Effect.gen(function* () {
          const renderer = yield* Renderer.make(name, yield* vocabularies.load(vocabulary))
          const counter = makeCounter(name)
          for (const [i, conversation] of fixture.conversations.entries()) {
            const expected = hashes[i]!.split(" ")
            for (const [m, mode] of fixture.modes.entries()) {
              const actual = hashOf(yield* render(renderer, conversation, i, mode))
              if (actual !== expected[m]) counter.add(conversation, i, mode)
            }
          }
          assert.deepStrictEqual(counter.unexplained, [])
          const listed = differences.flatMap(({ counts, number }) =>
            counts[key] === undefined ? [] : [[number, counts[key]]]
          )
          assert.deepStrictEqual(
            [...counter.counts].sort(([a], [b]) => a - b),
            listed
          )
        })
    )
  }
})
