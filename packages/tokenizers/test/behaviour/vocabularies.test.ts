import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as Tokenizer from "../../src/Tokenizer.ts"
import * as vocabularies from "../utils/vocabularies.ts"

interface Reference {
  /** number of tokens; hashes of the ids without and with special tokens added, and of the text with and without them */
  readonly strings: ReadonlyArray<readonly [number, string, string, string, string]>
  /** null where the template rejects the messages */
  readonly chats: ReadonlyArray<string | null>
}

interface Chats {
  readonly now: string
  readonly messages: { readonly [name: string]: ReadonlyArray<Tokenizer.Message> }
  readonly tools: ReadonlyArray<unknown>
  readonly chats: ReadonlyArray<{
    readonly messages: string
    readonly options: { readonly add_generation_prompt: boolean }
    readonly tools?: boolean
    readonly variables?: { readonly [name: string]: unknown }
  }>
}

const strings = vocabularies.fixture<ReadonlyArray<string>>("strings")
const chats = vocabularies.fixture<Chats>("chats")

const special = {
  qwen3: { bos: undefined, eos: { token: "<|im_end|>", id: 151645 }, size: 151669 },
  llama3_1: { bos: { token: "<|begin_of_text|>", id: 128000 }, eos: { token: "<|eot_id|>", id: 128009 }, size: 128256 },
  gemma3: { bos: { token: "<bos>", id: 2 }, eos: { token: "<end_of_turn>", id: 106 }, size: 262145 }
}

describe.skipIf(vocabularies.missing).each(vocabularies.all)("the vocabulary of %s", (name) => {
  const load = Effect.runSync(Effect.cached(Tokenizer.fromDirectory(vocabularies.directoryOf(name))))
  const reference = vocabularies.fixture<Reference>(name)

  it.effect("encodes and decodes like the reference implementation", () =>
    Effect.gen(function* () {
      const { decode, encode } = yield* load
      assert.isAtLeast(strings.length, 1000)
      for (const [i, text] of strings.entries()) {
        const ids = encode(text, { addSpecialTokens: false })
        const actual = [
          ids.length,
          vocabularies.idsHash(ids),
          vocabularies.idsHash(encode(text)),
          vocabularies.textHash(decode(ids)),
          vocabularies.textHash(decode(ids, { skipSpecialTokens: true }))
        ]
        assert.deepStrictEqual(actual, [...reference.strings[i]!], `strings[${i}] ${JSON.stringify(text)}`)
      }
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.effect("decodes what it encoded to the same text", () =>
    Effect.gen(function* () {
      const { decode, encode } = yield* load
      for (const text of strings) {
        // The normalizers of Qwen (which composes characters) and Gemma (which replaces spaces) are not reversible.
        const normal = (text: string) =>
          name === "qwen3" ? text.normalize("NFC") : name === "gemma3" ? text.replaceAll("▁", " ") : text
        assert.strictEqual(normal(decode(encode(text, { addSpecialTokens: false }))), normal(text))
      }
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.effect("takes special tokens for ordinary text on request", () =>
    Effect.gen(function* () {
      const { decode, encode, specialTokens } = yield* load
      const special = new Set(specialTokens.map(({ id }) => id))
      const options = { addSpecialTokens: false, splitSpecialTokens: true }
      for (const { token } of specialTokens.slice(0, 50)) {
        const text = `a ${token}${token}\n${token.slice(1)} b`
        const ids = encode(text, options)
        assert.deepStrictEqual(
          ids.filter((id) => special.has(id)),
          [],
          token
        )
        assert.strictEqual(decode(ids), text)
      }
      for (const text of strings.filter((text) => !specialTokens.some(({ token }) => text.includes(token)))) {
        assert.deepStrictEqual(encode(text, options), encode(text, { addSpecialTokens: false }))
      }
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.effect("renders conversations like the reference implementation", () =>
    Effect.gen(function* () {
      const { applyChatTemplate, decode, encodeChat } = yield* load
      yield* TestClock.setTime(new Date(chats.now).getTime())
      for (const [i, chat] of chats.chats.entries()) {
        const messages = chats.messages[chat.messages]!
        const options = {
          addGenerationPrompt: chat.options.add_generation_prompt,
          tools: chat.tools === true ? chats.tools : undefined,
          variables: chat.variables
        }
        const text = yield* Effect.option(applyChatTemplate(messages, options))
        assert.strictEqual(Option.getOrNull(text), reference.chats[i]!, `chats[${i}]`)
        if (Option.isSome(text)) assert.strictEqual(decode(yield* encodeChat(messages, options)), text.value)
      }
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.effect("has its special tokens", () =>
    Effect.gen(function* () {
      const tokenizer = yield* load
      assert.deepStrictEqual(tokenizer.bos, special[name].bos)
      assert.deepStrictEqual(tokenizer.eos, special[name].eos)
      assert.strictEqual(tokenizer.vocabSize, special[name].size)
      const { id, token } = special[name].eos
      assert.deepInclude(tokenizer.specialTokens, { id, token })
      assert.strictEqual(tokenizer.tokenToId(token), id)
      assert.strictEqual(tokenizer.idToToken(id), token)
      // The vocabularies of models are padded beyond those of their tokenizers.
      const [first] = tokenizer.encode("x", { addSpecialTokens: false })
      assert.strictEqual(tokenizer.decode(Int32Array.of(-1, first!, 10_000_000)), "x")
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
