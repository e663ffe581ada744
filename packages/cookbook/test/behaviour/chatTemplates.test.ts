import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Message from "@effect-tinker/cookbook/Message"
import * as Renderer from "@effect-tinker/cookbook/Renderer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import fc from "fast-check"
import * as conversations from "../utils/conversations.ts"
import "../utils/needsVocabularies.ts"
import * as vocabularies from "../utils/vocabularies.ts"

const user = (content: string): Message.Message => ({ role: "user", content })
const assistant = (content: Message.Content, rest: object = {}): Message.Message => ({
  role: "assistant",
  content,
  ...rest
})

const qwen3 = vocabularies.load("qwen3")

/** The text of an example, with what is trained in brackets. */
const shown = (example: Renderer.SupervisedExample): Effect.Effect<string> =>
  Effect.map(qwen3, (tokenizer) => {
    const tokens = Array.from(ModelInput.toTokens(example.input))
    let out = ""
    let from = 0
    for (let i = 1; i <= tokens.length; i++) {
      if (i < tokens.length && example.weights[i] === example.weights[from]) continue
      const text = tokenizer.decode(tokens.slice(from, i))
      out += example.weights[from] === 0 ? text : `[${text}]`
      from = i
    }
    return out
  })

const withTemplate = (template: string) =>
  Effect.flatMap(qwen3, (tokenizer) => Renderer.fromChatTemplate("test", tokenizer, { template }))

const examplesOf = (
  renderer: Renderer.Service,
  messages: ReadonlyArray<Message.Message>,
  trainOn: Renderer.TrainOn = "all_assistant_messages"
) => Effect.flatMap(renderer.examples({ messages }, trainOn), Effect.forEach(shown))

const loop = (body: string) => `{% for message in messages %}${body}{% endfor %}`
const turn = "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
const prompt = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

describe("a renderer over a chat template", () => {
  it.effect("trains what the hand-written renderer of the model trains", () =>
    Effect.gen(function* () {
      const tokenizer = yield* qwen3
      const [template, written] = [
        yield* Renderer.make("chat_template", tokenizer),
        yield* Renderer.make("qwen3", tokenizer)
      ]
      assert.deepStrictEqual(template.stop, written.stop)
      const thought = fc.tuple(
        conversations.prose,
        conversations.prose,
        fc.array(conversations.toolCall, { maxLength: 2 })
      )
      const produced = thought.map(([reasoning_content, content, tool_calls]) =>
        assistant(content, { reasoning_content, ...(tool_calls.length === 0 ? {} : { tool_calls }) })
      )
      const arbitrary = fc
        .array(fc.tuple(conversations.prose, produced), { minLength: 1, maxLength: 3 })
        .map((turns) =>
          turns.flatMap(([asked, message]) => [
            user(asked),
            message,
            ...(message.tool_calls ?? []).map((): Message.Message => ({ role: "tool", content: "result" }))
          ])
        )
      fc.assert(
        fc.property(arbitrary, (messages) => {
          for (const [i, { role }] of messages.entries()) {
            if (role !== "assistant") continue
            const [actual, expected] = [template, written].map((renderer) => {
              const conversation = { messages: messages.slice(0, i + 1) }
              const { input, weights } = Effect.runSync(renderer.example(conversation, "last_assistant_message"))
              return { tokens: Array.from(ModelInput.toTokens(input)), weights: Array.from(weights) }
            })
            assert.deepStrictEqual(actual, expected)
          }
        }),
        { numRuns: 15 }
      )
    })
  )

  it.effect("trains what the template marks as generated", () =>
    Effect.gen(function* () {
      const marked =
        "{% if message.role == 'assistant' %}{{ '<|im_start|>assistant\\n' }}{% generation %}{{ message.content + '<|im_end|>' }}" +
        `{% endgeneration %}{{ '\\n' }}{% else %}${turn}{% endif %}`
      const renderer = yield* withTemplate(loop(marked) + prompt)
      const messages = [user("a"), assistant("A"), user("b"), assistant("B")]
      assert.deepStrictEqual(yield* examplesOf(renderer, messages), [
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n[A<|im_end|>]\n<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\n[B<|im_end|>]"
      ])
      assert.isTrue(renderer.hasExtensionProperty)
    })
  )

  it.effect("trains the token that ends a turn, and not the newline behind it", () =>
    Effect.gen(function* () {
      const renderer = yield* withTemplate(loop(turn) + prompt)
      const messages = [user("a"), assistant("A", { weight: 0 }), user("b"), assistant("B")]
      assert.deepStrictEqual(yield* examplesOf(renderer, messages), [
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\n[B<|im_end|>]"
      ])
      assert.deepStrictEqual(yield* examplesOf(renderer, messages.slice(0, 2), "all_tokens"), [
        "[<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n]A<|im_end|>"
      ])
    })
  )

  it.effect("begins to parse in the reasoning that the prompt has opened", () =>
    Effect.gen(function* () {
      const tokenizer = yield* qwen3
      const produced =
        "{% if message.role == 'assistant' and loop.last %}{{ '<|im_start|>assistant\\n<think>\\n' + message.reasoning_content|default('') + '\\n</think>\\n\\n' + message.content + '<|im_end|>\\n' }}" +
        `{% else %}${turn}{% endif %}`
      const renderer = yield* withTemplate(
        loop(produced) + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}"
      )
      const messages = [user("a"), assistant("A", { reasoning_content: "hm" })]
      assert.deepStrictEqual(yield* examplesOf(renderer, messages), [
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n<think>\n[hm\n</think>\n\nA<|im_end|>]"
      ])
      const response = tokenizer.encode("hm\n</think>\n\nA<|im_end|>", { addSpecialTokens: false })
      const { message } = yield* renderer.parse(response)
      assert.deepStrictEqual(message.content, [
        { type: "thinking", thinking: "hm" },
        { type: "text", text: "A" }
      ])
    })
  )

  it.effect("refuses what it cannot train exactly, or what the template would leave out", () =>
    Effect.gen(function* () {
      const plain = yield* withTemplate(loop(turn) + prompt)
      const other = yield* withTemplate(
        loop(turn) + "{% if add_generation_prompt %}{{ '<|im_start|>bot\\n' }}{% endif %}"
      )
      const rewriting = yield* Renderer.make("chat_template", yield* qwen3)
      const messages = [user("a"), assistant("A"), user("b"), assistant("B")]
      const image = { role: "user", content: [{ type: "image", url: "x" }] }
      const cases = [
        [other.examples({ messages }, "last_assistant_message"), "Template", "messages.3"],
        [rewriting.example({ messages }, "all_assistant_messages"), "UnsupportedMode", undefined],
        [plain.example({ messages }, "all_messages"), "UnsupportedMode", undefined],
        [plain.generationPrompt(messages, { role: "user" }), "UnsupportedMode", undefined],
        [plain.generationPrompt([image]), "UnsupportedContent", "messages.0.content.0"],
        [
          plain.generationPrompt([user("a"), assistant("A", { reasoning_content: "r" })]),
          "UnsupportedContent",
          "messages.1"
        ],
        [
          plain.generationPrompt([assistant(null, { tool_calls: [{ name: "f", arguments: {} }] })]),
          "UnsupportedTools",
          "messages.0"
        ],
        [plain.generationPrompt([user("a")], { tools: [{ name: "f" }] }), "UnsupportedTools", "tools"],
        [
          plain.example({ messages: messages.map((message) => ({ ...message, trainable: true })) }, "customized"),
          "UnsupportedMode",
          "messages.0.trainable"
        ]
      ] as const
      for (const [effect, reason, path] of cases) {
        const error: Renderer.RendererError = yield* Effect.flip(
          effect as Effect.Effect<unknown, Renderer.RendererError>
        )
        assert.deepStrictEqual({ reason: error.reason, path: error.path }, { reason, path })
      }
    })
  )

  it.effect("says so when the template rejects a conversation, and when there is none", () =>
    Effect.gen(function* () {
      const strict = yield* withTemplate(
        `${loop("{% if message.role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + turn)}${prompt}`
      )
      const error = yield* Effect.flip(strict.generationPrompt([{ role: "system", content: "s" }]))
      assert.strictEqual(error.reason, "Template")
      assert.include(error.message, "no system")
      const tokenizer = { ...(yield* qwen3), chatTemplates: {} }
      const missing = (yield* Effect.flip(Renderer.make("chat_template", tokenizer))) as Renderer.RendererError
      assert.strictEqual(missing.reason, "UnsupportedTokenizer")
    })
  )
})
