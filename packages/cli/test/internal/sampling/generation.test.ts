import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Options, params, stream, textOf } from "../../../src/internal/sampling/generation.ts"

/** A tokenizer with one token per byte. */
const tokenizer = {
  decode: (tokens: ArrayLike<number>) => new TextDecoder().decode(Uint8Array.from(Array.from(tokens)))
} as unknown as Tokenizer.Service

const bytes = (text: string) => Array.from(new TextEncoder().encode(text))

/** A model that continues with the bytes of a text, a few at a time. */
const modelOf = (text: string) => {
  const given: Array<unknown> = []
  const all = bytes(text)
  const sampling = {
    stream: (_: unknown, options: unknown) => {
      given.push(options)
      const starts = Array.from({ length: Math.ceil(all.length / 4) }, (_, i) => i * 4)
      return Stream.fromIterable(
        starts.map((start) => ({
          tokens: Int32Array.from(all.slice(start, start + 4)),
          ...(start + 4 >= all.length ? { stop_reason: "length" } : {})
        }))
      )
    }
  } as unknown as SamplingClient.SamplingClient
  return { sampling, given }
}

const options: Options = { maxTokens: 200, temperature: 1, topP: 1, topK: -1, seed: undefined, stop: [] }

const run = (text: string, changes: Partial<Options> = {}) =>
  Effect.gen(function* () {
    const model = modelOf(text)
    const shown: Array<string> = []
    const chosen = { ...options, ...changes }
    const result = yield* stream(model.sampling, tokenizer, [1], chosen, (part) =>
      Effect.sync(() => void shown.push(part))
    )
    assert.strictEqual(shown.join(""), result)
    assert.deepStrictEqual(model.given, [{ sampling_params: params(chosen) }])
    return { result, shown }
  })

describe("stream", () => {
  it.effect("shows the text of each piece", () =>
    Effect.map(run("0123456789"), ({ shown }) => assert.deepStrictEqual(shown, ["0123", "4567", "89"]))
  )

  it.effect("never shows half a character", () =>
    Effect.map(run("012é ok", { seed: 1 }), ({ shown }) => assert.deepStrictEqual(shown, ["012", "é ok"]))
  )

  it.effect("ends before a stop sequence, even if it comes in two pieces", () =>
    Effect.map(run("01STOP after that", { stop: ["STOP"] }), ({ result, shown }) => {
      assert.strictEqual(result, "01")
      assert.notInclude(shown.join(""), "S")
    })
  )
})

describe("textOf", () => {
  it("ends before the stop sequence that comes first", () => {
    assert.strictEqual(textOf(tokenizer, ["b", "ab"], bytes("xxaab")), "xxa")
    assert.strictEqual(textOf(tokenizer, [], bytes("xé")), "xé")
  })
})
