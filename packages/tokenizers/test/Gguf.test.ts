import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import * as Gguf from "../src/Gguf.ts"

interface Case {
  readonly metadata: { readonly [key: string]: unknown }
  /** a text, its ids without the first token of a text, and what they decode to */
  readonly texts: ReadonlyArray<readonly [text: string, ids: ReadonlyArray<number>, decoded: string]>
}

const cases = JSON.parse(
  readFileSync(new URL("./fixtures/sentencepiece.json", import.meta.url), "utf8")
) as ReadonlyArray<Case>

describe("The tokenizer of a GGUF file with a SentencePiece vocabulary", () => {
  it.effect.each(cases)("encodes and decodes as SentencePiece does", ({ metadata, texts }) =>
    Effect.gen(function* () {
      const tokenizer = yield* Gguf.tokenizerOf("model.gguf", metadata)
      assert.isAbove(texts.length, 100)
      for (const [text, ids, decoded] of texts) {
        assert.deepStrictEqual([...tokenizer.encode(text, { addSpecialTokens: false })], [...ids], JSON.stringify(text))
        assert.strictEqual(tokenizer.decode(ids), decoded, JSON.stringify(text))
      }
      assert.deepStrictEqual(tokenizer.bos, { token: "<s>", id: 1 })
      assert.deepStrictEqual([...tokenizer.encode("the cats")].slice(0, 1), [1])
      assert.include([...tokenizer.encode("the<turn>cats")], tokenizer.tokenToId("<turn>")!)
    })
  )

  it.effect("is refused with every reason", () =>
    Effect.gen(function* () {
      const { "tokenizer.ggml.scores": _scores, ...metadata } = cases[0]!.metadata
      const broken = { ...metadata, "tokenizer.ggml.token_type": [1] }
      const { reason } = yield* Effect.flip(Gguf.tokenizerOf("model.gguf", broken))
      assert.include(reason, "tokenizer.ggml.scores is not a list of a number for each token")
      assert.include(reason, "tokenizer.ggml.token_type is not a list of a number for each token")
      const other = yield* Effect.flip(Gguf.tokenizerOf("model.gguf", { "tokenizer.ggml.model": "t5" }))
      assert.include(other.reason, "the tokenizer is t5: supported are gpt2, byte-level BPE, and llama")
    })
  )
})
