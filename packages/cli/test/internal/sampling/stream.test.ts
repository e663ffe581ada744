import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { beforeStop, type Options, seedOf, stream } from "../../../src/internal/sampling/stream.ts"

/** A tokenizer with one token per byte. */
const tokenizer = {
  decode: (tokens: ArrayLike<number>) => new TextDecoder().decode(Uint8Array.from(Array.from(tokens)))
} as unknown as Tokenizer.Service

/** A model that continues with the bytes of a text. */
const modelOf = (text: string) => {
  const bytes = Array.from(new TextEncoder().encode(text))
  let requests = 0
  const seeds: Array<number | undefined> = []
  const sampling = {
    sample: (
      _: unknown,
      { sampling_params: { max_tokens, seed } }: { sampling_params: { max_tokens: number; seed?: number } }
    ) =>
      Effect.sync(() => {
        seeds.push(seed)
        const start = requests++ * 16
        const tokens = bytes.slice(start, start + max_tokens)
        return { sequences: [{ tokens, stop_reason: start + max_tokens >= bytes.length ? "stop" : "length" }] }
      })
  } as unknown as SamplingClient.SamplingClient
  return { sampling, seeds, requests: () => requests }
}

const options: Options = { maxTokens: 200, temperature: 1, topP: 1, topK: -1, seed: undefined, stop: [] }

const run = (text: string, changes: Partial<Options> = {}) =>
  Effect.gen(function* () {
    const model = modelOf(text)
    const shown: Array<string> = []
    const result = yield* stream(model.sampling, tokenizer, [1], { ...options, ...changes }, (part) =>
      Effect.sync(() => void shown.push(part))
    )
    assert.strictEqual(shown.join(""), result)
    return { result, shown, seeds: model.seeds, requests: model.requests() }
  })

describe("stream", () => {
  it.effect("shows the text of each request", () =>
    Effect.map(run("0123456789abcdef0123456789abcdef01"), ({ requests, shown }) => {
      assert.strictEqual(requests, 3)
      assert.deepStrictEqual(shown, ["0123456789abcdef", "0123456789abcdef", "01"])
    })
  )

  it.effect("gives each request a seed that no neighbouring seed has", () =>
    Effect.gen(function* () {
      const text = "x".repeat(64)
      const [first, second] = [yield* run(text, { seed: 1 }), yield* run(text, { seed: 2 })]
      assert.strictEqual(new Set([...first.seeds, ...second.seeds]).size, 8)
    })
  )

  it.effect("never shows half a character", () =>
    Effect.map(run("0123456789abcdeé ok"), ({ shown }) => assert.deepStrictEqual(shown, ["0123456789abcde", "é ok"]))
  )

  it.effect("ends before a stop sequence, even if it comes in two requests", () =>
    Effect.map(run("0123456789abcdSTOP after that", { stop: ["STOP"] }), ({ result, shown }) => {
      assert.strictEqual(result, "0123456789abcd")
      assert.notInclude(shown.join(""), "S")
    })
  )

  it.effect("ends after the maximum number of tokens", () =>
    Effect.map(run("0123456789abcdef0123456789", { maxTokens: 20 }), ({ result }) =>
      assert.strictEqual(result, "0123456789abcdef0123")
    )
  )
})

describe("seedOf", () => {
  it("shares no seed between neighbouring seeds, and keeps that of the first request", () => {
    const seeds = [0, 1, 2, 3, 2 ** 32, 2 ** 40 + 1].flatMap((seed) =>
      Array.from({ length: 50 }, (_, round) => seedOf(seed, round))
    )
    assert.strictEqual(new Set(seeds).size, seeds.length)
    assert.strictEqual(seedOf(7, 0), 7)
    assert.isTrue(seeds.every((seed) => Number.isSafeInteger(seed) && seed >= 0))
  })
})

describe("beforeStop", () => {
  it("cuts a text at the first stop sequence", () => {
    assert.strictEqual(beforeStop(["b", "c"], "a c b"), "a ")
    assert.strictEqual(beforeStop(["x"], "abc"), "abc")
  })
})
