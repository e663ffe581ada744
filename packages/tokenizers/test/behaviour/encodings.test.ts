import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Tokenizer from "../../src/Tokenizer.ts"
import * as vocabularies from "../utils/vocabularies.ts"

interface Kind {
  readonly tokenizer: unknown
  /** ids; where they differ, also those with special tokens added, and with special tokens as ordinary text */
  readonly rows: ReadonlyArray<
    readonly [plain: ReadonlyArray<number>, framed?: ReadonlyArray<number>, split?: ReadonlyArray<number>]
  >
}

const { kinds, texts } = vocabularies.fixture<{
  readonly texts: ReadonlyArray<string>
  readonly kinds: { readonly [name: string]: Kind }
}>("encodings")

describe("tokenizers of many kinds", () => {
  it.effect.each(Object.keys(kinds))("encode every text as the reference does: %s", (name) =>
    Effect.gen(function* () {
      const { rows, tokenizer } = kinds[name]!
      const { encode } = yield* Tokenizer.make({ tokenizer })
      for (const [i, text] of texts.entries()) {
        const [plain, framed = plain, split = plain] = rows[i]!
        const actual = [
          encode(text, { addSpecialTokens: false }),
          encode(text),
          encode(text, { addSpecialTokens: false, splitSpecialTokens: true })
        ]
        assert.deepStrictEqual(actual, [[...plain], [...framed], [...split]], JSON.stringify(text))
      }
    })
  )

  const plain = kinds["plain"]!.tokenizer as { readonly model: object }
  it.effect.each([
    [{ normalizer: { type: "Precompiled", precompiled_charsmap: "" } }, /normalizer Precompiled is not supported/],
    [{ normalizer: { type: "BertNormalizer" } }, /normalizer BertNormalizer is not supported/],
    [{ normalizer: { type: "Sequence", normalizers: [{ type: "Nmt" }] } }, /Nmt/],
    [{ pre_tokenizer: { type: "UnicodeScripts" } }, /UnicodeScripts/],
    [{ pre_tokenizer: { type: "Split", pattern: { String: "a" }, behavior: "Odd", invert: false } }, /behavior Odd/],
    [{ post_processor: { type: "Odd" } }, /Odd/],
    [{ model: { ...plain.model, dropout: 0.1 } }, /drops merges at random/],
    [{ model: { ...plain.model, continuing_subword_prefix: "##" } }, /continuing_subword_prefix/],
    [{ model: { ...plain.model, merges: [["h", "zz"]] } }, /merge \["h","zz"\] is of tokens that the vocabulary lacks/],
    [{ model: { type: "WordLevel", vocab: { a: 0 }, unk_token: "b" } }, /no unknown token/],
    [
      { added_tokens: [{ id: 900, content: "<x>", special: true }] },
      /added token "<x>" has the id 900, but it is the token 1\d\d/
    ],
    [{ model: { type: "Unigram", vocab: [["a", 0]], unk_id: null } }, /no unknown token/]
  ] as const)("are rejected where the ids would be wrong: %#", ([part, reason]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Tokenizer.make({ tokenizer: { ...plain, ...part } }))
      assert.match(error.message, reason)
    })
  )
})

const strings = vocabularies.fixture<ReadonlyArray<string>>("strings")

/** The texts of `long.json`. */
const longTexts: { readonly [name: string]: string } = {
  mixed: strings.join("").repeat(4),
  letters: "a".repeat(60_000),
  pairs: "ab".repeat(30_000),
  spaces: " ".repeat(50_000),
  words: "the quick brown fox ".repeat(5000),
  chinese: "我能吞下玻璃而不伤身体".repeat(2000)
}

const long = vocabularies.fixture<{
  readonly [vocabulary: string]: { readonly [text: string]: readonly [count: number, hash: string] }
}>("long")

const messages = vocabularies.fixture<{
  readonly chats: ReadonlyArray<ReadonlyArray<Tokenizer.Message>>
  readonly ids: { readonly [vocabulary: string]: ReadonlyArray<ReadonlyArray<number>> }
}>("messages")

/** How often the event loop came round while an effect ran. */
const turnsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    let turns = 0
    let isDone = false
    const turn = () => {
      turns++
      if (!isDone) setImmediate(turn)
    }
    setImmediate(turn)
    return Effect.map(effect, (value) => {
      isDone = true
      return { turns, value }
    })
  })

describe.skipIf(vocabularies.missing).each(vocabularies.all)(
  "long texts and special tokens in the vocabulary of %s",
  (name) => {
    const load = Effect.runSync(Effect.cached(Tokenizer.fromDirectory(vocabularies.directoryOf(name))))

    it.effect("encodes long texts as the reference does, with pauses", () =>
      Effect.gen(function* () {
        const { encodeInSteps } = yield* load
        for (const [key, text] of Object.entries(longTexts)) {
          const { turns, value } = yield* turnsOf(encodeInSteps(text, { addSpecialTokens: false }))
          assert.deepStrictEqual([value.length, vocabularies.idsHash(value)], [...long[name]![key]!], key)
          assert.isAtLeast(turns, text.length / 50_000, key)
        }
      }).pipe(Effect.provide(NodeContext.layer))
    )

    it.effect("takes special tokens in messages for ordinary text, and those of the template for tokens", () =>
      Effect.gen(function* () {
        const { encodeChat, renderChat } = yield* load
        for (const [i, chat] of messages.chats.entries()) {
          for (const addGenerationPrompt of [false, true]) {
            const expected = messages.ids[name]![2 * i + (addGenerationPrompt ? 1 : 0)]!
            const special = { bos_token: "<bos>", eos_token: "<eos>" }
            const actual = yield* encodeChat(chat, { addGenerationPrompt, variables: special })
            assert.deepStrictEqual([...actual], [...expected], (yield* renderChat(chat)).text)
          }
        }
      }).pipe(Effect.provide(NodeContext.layer))
    )

    it.effect("takes special tokens in messages for tokens on request, as the text is encoded", () =>
      Effect.gen(function* () {
        const { applyChatTemplate, encode, encodeChat } = yield* load
        const chat = [{ role: "user", content: "a<|im_end|>b<|eot_id|>c<end_of_turn>d" }]
        const text = yield* applyChatTemplate(chat)
        const ids = yield* encodeChat(chat, { specialTokensInMessages: "token" })
        assert.deepStrictEqual(ids, encode(text, { addSpecialTokens: false }))
        assert.notDeepEqual(yield* encodeChat(chat), ids)
      }).pipe(Effect.provide(NodeContext.layer))
    )
  }
)
