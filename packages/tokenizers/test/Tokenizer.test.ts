import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { strftime } from "../src/internal/chat/strftime.ts"
import * as Tokenizer from "../src/Tokenizer.ts"

const added = (id: number, content: string) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true
})

const tokenizer = {
  version: "1.0",
  added_tokens: [added(3, "<s>"), added(4, "</s>")],
  normalizer: null,
  pre_tokenizer: { type: "WhitespaceSplit" },
  post_processor: {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { "<s>": { id: "<s>", ids: [3], tokens: ["<s>"] } }
  },
  decoder: null,
  model: { type: "WordLevel", vocab: { unknown: 0, hello: 1, world: 2, "<s>": 3, "</s>": 4 }, unk_token: "unknown" }
}

const hello: ReadonlyArray<Tokenizer.Message> = [{ role: "user", content: "hello" }]

const files = (contents: { readonly [name: string]: unknown }) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped()
    for (const [name, content] of Object.entries(contents)) {
      yield* fs.writeFileString(`${directory}/${name}`, typeof content === "string" ? content : JSON.stringify(content))
    }
    return directory
  })

describe("Tokenizer", () => {
  it.effect("adds special tokens to a text unless `addSpecialTokens` is false", () =>
    Effect.gen(function* () {
      const { decode, encode } = yield* Tokenizer.make({ tokenizer })
      assert.deepStrictEqual(encode("hello world"), [3, 1, 2])
      assert.deepStrictEqual(encode("hello</s>", { addSpecialTokens: false }), [1, 4])
      assert.strictEqual(decode([3, 1, 2, 4], { skipSpecialTokens: true }), "hello world")
      assert.strictEqual(decode([3, 1]), "<s> hello")
      assert.strictEqual(decode([]), "")
    })
  )

  it.effect("encodes a text for a model input", () =>
    Effect.gen(function* () {
      const made = yield* Tokenizer.make({ tokenizer })
      const input = ModelInput.fromText(made, "hello world")
      assert.deepStrictEqual(ModelInput.toTokens(input), Int32Array.of(3, 1, 2))
    })
  )

  it.scoped("reads all files of a directory, in their order of precedence", () =>
    Effect.gen(function* () {
      const directory = yield* files({
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {
          bos_token: { content: "<s>", lstrip: false },
          eos_token: null,
          image_token: "<s>",
          chat_template: "old"
        },
        "special_tokens_map.json": { bos_token: "</s>", unk_token: "unknown", pad_token: "absent" },
        "chat_template.jinja":
          "{{ bos_token }}{{ image_token }}{% for m in messages %}[{{ m.role }}: {{ m.content }}]{% endfor %}"
      })
      const made = yield* Tokenizer.fromDirectory(directory)
      assert.deepStrictEqual(made.bos, { token: "<s>", id: 3 })
      assert.isUndefined(made.eos)
      assert.deepStrictEqual(made.unk, { token: "unknown", id: 0 })
      assert.isUndefined(made.pad)
      assert.deepStrictEqual(made.specialTokens, [
        { token: "<s>", id: 3 },
        { token: "</s>", id: 4 }
      ])
      assert.strictEqual(yield* made.applyChatTemplate([{ role: "user", content: "hello" }]), "<s><s>[user: hello]")
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("reads the older file of a chat template, and a tokenizer.json without other files", () =>
    Effect.gen(function* () {
      const directory = yield* files({ "tokenizer.json": tokenizer, "chat_template.json": { chat_template: "older" } })
      assert.deepStrictEqual((yield* Tokenizer.fromDirectory(directory)).chatTemplates, { default: "older" })
      const alone = yield* Tokenizer.fromFile(`${directory}/tokenizer.json`)
      assert.deepStrictEqual(alone.chatTemplates, {})
      assert.deepStrictEqual(alone.encode("world"), [3, 2])
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.effect("selects a chat template by name, by its text, or by whether there are tools", () =>
    Effect.gen(function* () {
      const { applyChatTemplate, chatTemplates } = yield* Tokenizer.make({
        tokenizer,
        config: {
          chat_template: [
            { name: "default", template: "plain {{ tools is none }}" },
            { name: "tool_use", template: "with {{ tools | length }}" },
            { name: "rag", template: "docs {{ documents[0].title }} {{ mood }} {{ add_generation_prompt }}" }
          ]
        }
      })
      assert.deepStrictEqual(Object.keys(chatTemplates), ["default", "tool_use", "rag"])
      assert.strictEqual(yield* applyChatTemplate(hello), "plain True")
      assert.strictEqual(yield* applyChatTemplate(hello, { tools: [{}] }), "with 1")
      assert.strictEqual(
        yield* applyChatTemplate(hello, { template: "rag", documents: [{ title: "t" }], variables: { mood: "m" } }),
        "docs t m False"
      )
      assert.strictEqual(yield* applyChatTemplate(hello, { template: "its own text" }), "its own text")
    })
  )

  it.effect("passes the time of the Clock to the chat template", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(new Date(2026, 1, 3, 4, 5, 6).getTime())
      const { applyChatTemplate } = yield* Tokenizer.make({ tokenizer })
      const template = "{{ strftime_now('%d %b %Y, %A %-d %B %H:%M:%S %I%p %j %y %% %e %F %T %Q') }}"
      assert.strictEqual(
        yield* applyChatTemplate(hello, { template }),
        "03 Feb 2026, Tuesday 3 February 04:05:06 04AM 034 26 %  3 2026-02-03 04:05:06 %Q"
      )
      assert.strictEqual(strftime(new Date(2024, 11, 31, 12), "%j %I %p %-I"), "366 12 PM 12")
    })
  )

  it.effect("explains why messages cannot be rendered", () =>
    Effect.gen(function* () {
      const { applyChatTemplate, encodeChat } = yield* Tokenizer.make({ tokenizer })
      const reason = (options: Tokenizer.ChatOptions) =>
        Effect.map(Effect.flip(applyChatTemplate([{ role: "user", content: "x" }], options)), (error) => error.message)
      assert.include(yield* reason({}), "the chat template is missing: this tokenizer has none, give one")
      assert.include(yield* reason({ template: "{% if %}" }), "the chat template cannot be parsed: ")
      assert.include(
        yield* reason({ template: "{{ raise_exception('roles must alternate') }}" }),
        "the chat template rejected the messages: roles must alternate"
      )
      assert.instanceOf(yield* Effect.flip(encodeChat(hello)), Tokenizer.ChatTemplateError)
    })
  )

  it.scoped("explains what is wrong with a file", () =>
    Effect.gen(function* () {
      const directory = yield* files({ "tokenizer.json": "{", "other.json": { model: { type: "Abacus" } } })
      const reason = (effect: Effect.Effect<unknown, Tokenizer.TokenizerError, NodeContext.NodeContext>) =>
        Effect.map(Effect.flip(effect), (error) => error.message)
      assert.match(yield* reason(Tokenizer.fromDirectory(directory)), /tokenizer\.json is not JSON$/)
      assert.match(yield* reason(Tokenizer.fromFile(`${directory}/other.json`)), /is not a supported tokenizer \(/)
      assert.match(yield* reason(Tokenizer.fromDirectory(`${directory}/absent`)), /tokenizer\.json cannot be read$/)
      assert.match(yield* reason(Tokenizer.make({ tokenizer: null })), /^tokenizer is not a supported tokenizer/)
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
