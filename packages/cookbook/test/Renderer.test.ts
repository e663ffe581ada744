import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Message from "@effect-tinker/cookbook/Message"
import * as Renderer from "@effect-tinker/cookbook/Renderer"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import fc from "fast-check"
import * as conversations from "./utils/conversations.ts"
import "./utils/needsVocabularies.ts"
import * as vocabularies from "./utils/vocabularies.ts"

const runs = 25

const all: ReadonlyArray<readonly [string, vocabularies.Name]> = [
  ["role_colon", "qwen3"],
  ["role_colon", "llama3_1"],
  ["role_colon", "gemma3"],
  ["llama3", "llama3_1"],
  ["qwen3", "qwen3"],
  ["qwen3_preserve_thinking", "qwen3"],
  ["qwen3_disable_thinking", "qwen3"],
  ["qwen3_instruct", "qwen3"],
  ["chat_template", "qwen3"],
  ["chat_template", "llama3_1"],
  ["chat_template", "gemma3"]
]

interface Subject {
  readonly renderer: Renderer.Service
  readonly tokenizer: Tokenizer.Service
}

const load = (name: string, vocabulary: vocabularies.Name): Effect.Effect<Subject> =>
  Effect.gen(function* () {
    const tokenizer = yield* vocabularies.load(vocabulary)
    return { tokenizer, renderer: yield* Renderer.make(name, tokenizer) }
  }).pipe(Effect.orDie)

/** Checks a property of conversations. */
const check = <A>(arbitrary: fc.Arbitrary<A>, property: (value: A) => void, numRuns = runs): void =>
  fc.assert(fc.property(arbitrary, property), { numRuns })

const tokensOf = ({ input }: { readonly input: ModelInput.ModelInput }) => Array.from(ModelInput.toTokens(input))

const promptOf = ({ renderer }: Subject, messages: ReadonlyArray<Message.Message>): Array<number> =>
  Array.from(ModelInput.toTokens(Effect.runSync(renderer.generationPrompt(messages))))

const exampleOf = ({ renderer }: Subject, messages: ReadonlyArray<Message.Message>) =>
  Effect.runSync(renderer.example({ messages }, "last_assistant_message"))

/** What the model would write: the tokens of an example that the prompt does not contain. */
const responseOf = (subject: Subject, messages: ReadonlyArray<Message.Message>): Array<number> =>
  tokensOf(exampleOf(subject, messages)).slice(promptOf(subject, messages.slice(0, -1)).length)

describe.each(all)("the renderer %s with the vocabulary of %s", (name, vocabulary) => {
  const subject = Effect.runSync(Effect.cached(load(name, vocabulary)))

  it.effect("begins an example with the prompt, which has no weight, and trains the rest", () =>
    Effect.gen(function* () {
      const self = yield* subject
      check(conversations.turns(conversations.text), (messages) => {
        const example = exampleOf(self, messages)
        const prompt = promptOf(self, messages.slice(0, -1))
        assert.deepStrictEqual(tokensOf(example).slice(0, prompt.length), prompt)
        assert.deepStrictEqual([...new Set(example.weights.subarray(0, prompt.length))], [0])
        assert.deepStrictEqual([...new Set(example.weights.subarray(prompt.length))], [1])
      })
    })
  )

  it.effect("never encodes what is said as special tokens", () =>
    Effect.gen(function* () {
      const self = yield* subject
      const special = new Set(self.tokenizer.specialTokens.map(({ id }) => id))
      const count = (tokens: ReadonlyArray<number>) => tokens.filter((token) => special.has(token)).length
      check(conversations.turns(conversations.text), (messages) => {
        const harmless = messages.map((message) => ({ ...message, content: "x" }))
        assert.strictEqual(count(tokensOf(exampleOf(self, messages))), count(tokensOf(exampleOf(self, harmless))))
      })
    })
  )

  it.effect("parses what it rendered", () =>
    Effect.gen(function* () {
      const self = yield* subject
      check(conversations.turns(conversations.prose), (messages) => {
        const parsed = Effect.runSync(self.renderer.parse(responseOf(self, messages)))
        // normal forms of Unicode are the vocabulary's
        const normal = (text: string) => self.tokenizer.decode(self.tokenizer.encode(text, { addSpecialTokens: false }))
        const expected = messages.at(-1)!.content as string
        assert.deepStrictEqual(parsed, {
          message: { role: "assistant", content: normal(expected) },
          termination: "stop_sequence",
          failure: undefined
        })
      })
    })
  )

  it.effect("has the extension property if it says so, and one example for each turn otherwise", () =>
    Effect.gen(function* () {
      const self = yield* subject
      check(conversations.turns(conversations.text), (messages) => {
        const ends = [...messages.keys()].filter((i) => messages[i]!.role === "assistant")
        const examples = Effect.runSync(self.renderer.examples({ messages }, "all_assistant_messages"))
        const sequences = ends.map((i) => tokensOf(exampleOf(self, messages.slice(0, i + 1))))
        if (!self.renderer.hasExtensionProperty) {
          assert.deepStrictEqual(examples.map(tokensOf), sequences)
          return
        }
        const [whole] = examples.map(tokensOf)
        for (const [at, sequence] of sequences.entries()) {
          // the last message of role_colon has the rest of the stop sequence, which is also the header that follows
          assert.deepStrictEqual(whole!.slice(0, sequence.length), sequence, `turn ${at}`)
        }
      })
    })
  )

  it.effect("parses a response token by token to the same message, in pieces that add up to it", () =>
    Effect.gen(function* () {
      const self = yield* subject
      check(conversations.turns(conversations.text), (messages) => {
        const response = responseOf(self, messages)
        const parsed = Effect.runSync(self.renderer.parse(response))
        const deltas = [
          ...Effect.runSync(Stream.runCollect(Renderer.parseStream(self.renderer, Stream.fromIterable(response))))
        ]
        const text = deltas.map((delta) => (delta._tag === "Text" ? delta.text : "")).join("")
        assert.deepStrictEqual(deltas[0], { _tag: "Header", role: "assistant" })
        assert.deepStrictEqual(deltas.at(-1), { _tag: "Final", parsed })
        if (typeof parsed.message.content === "string") assert.strictEqual(text, parsed.message.content)
      })
    })
  )
})

const user = (content: Message.Content): Message.Message => ({ role: "user", content })
const assistant = (content: Message.Content, rest: object = {}): Message.Message => ({
  role: "assistant",
  content,
  ...rest
})

const textOf = ({ tokenizer }: Subject, tokens: ReadonlyArray<number>) => tokenizer.decode(tokens)

/** The text with what is trained in brackets. */
const shown = (subject: Subject, example: Renderer.SupervisedExample): string => {
  const tokens = tokensOf(example)
  let out = ""
  let from = 0
  for (let i = 1; i <= tokens.length; i++) {
    if (i < tokens.length && example.weights[i] === example.weights[from]) continue
    const text = textOf(subject, tokens.slice(from, i))
    out += example.weights[from] === 0 ? text : `[${text}]`
    from = i
  }
  return out
}

const qwen3 = load("qwen3", "qwen3")

const refusal = (effect: Effect.Effect<unknown, Renderer.RendererError>) =>
  Effect.map(Effect.flip(effect), ({ path, reason }) => ({ path, reason }))

describe("the renderer of Qwen3", () => {
  it.effect("trains each turn of a conversation in the context that the model would see", () =>
    Effect.gen(function* () {
      const self = yield* qwen3
      const messages = [
        user("a"),
        assistant([
          { type: "thinking", thinking: "hm" },
          { type: "text", text: "A" }
        ]),
        user("b"),
        assistant("B")
      ]
      const examples = yield* self.renderer.examples({ messages }, "all_assistant_messages")
      assert.deepStrictEqual(
        examples.map((example) => shown(self, example)),
        [
          "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n[<think>\nhm\n</think>\n\nA<|im_end|>]",
          "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nb<|im_end|>\n" +
            "<|im_start|>assistant\n[<think>\n\n</think>\n\nB<|im_end|>]"
        ]
      )
    })
  )

  it.effect("trains turns that call tools, and keeps their reasoning until the next message of the user", () =>
    Effect.gen(function* () {
      const self = yield* qwen3
      const messages = [
        user("q"),
        assistant(null, {
          reasoning_content: "look it up",
          tool_calls: [{ function: { name: "f", arguments: '{"a":1.0,"ü":"é"}' } }]
        }),
        { role: "tool", content: "r1" },
        { role: "tool", content: "r2" },
        assistant("done")
      ]
      const examples = yield* self.renderer.examples({ messages }, "all_assistant_messages")
      const turn =
        '<think>\nlook it up\n</think>\n\n<tool_call>\n{"name": "f", "arguments": {"a": 1.0, "ü": "é"}}\n</tool_call><|im_end|>'
      assert.deepStrictEqual(
        examples.map((example) => shown(self, example)),
        [
          `<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n[${turn}]`,
          `<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n${turn}\n<|im_start|>user\n<tool_response>\nr1\n` +
            "</tool_response>\n<tool_response>\nr2\n</tool_response><|im_end|>\n<|im_start|>assistant\n" +
            "[<think>\n\n</think>\n\ndone<|im_end|>]"
        ]
      )
    })
  )

  it.effect("declares tools as the chat template of the model does", () =>
    Effect.gen(function* () {
      const self = yield* qwen3
      const tools = [
        { type: "function" as const, function: { name: "f", description: "é", parameters: { z: 1, a: {} } } }
      ]
      for (const messages of [[user("q")], [{ role: "system", content: "s" }, user("q")]]) {
        const prompt = yield* self.renderer.generationPrompt(messages, { tools })
        const expected = yield* self.tokenizer.applyChatTemplate(messages as never, {
          tools,
          addGenerationPrompt: true
        })
        assert.strictEqual(textOf(self, Array.from(ModelInput.toTokens(prompt))), expected)
      }
    })
  )

  it.effect("writes prompts as the chat template of the model does", () =>
    Effect.gen(function* () {
      for (const [name, variables] of [
        ["qwen3", {}],
        ["qwen3_disable_thinking", { enable_thinking: false }]
      ] as const) {
        const self = yield* load(name, "qwen3")
        check(conversations.turns(conversations.prose), (messages) => {
          const asked = messages.slice(0, -1)
          const expected = Effect.runSync(
            self.tokenizer.applyChatTemplate(asked as never, { addGenerationPrompt: true, variables })
          )
          assert.strictEqual(
            textOf(self, promptOf(self, asked)),
            textOf(self, self.tokenizer.encode(expected, { addSpecialTokens: false }))
          )
        })
      }
    })
  )

  it.effect("parses tool calls that it rendered, with text and reasoning", () =>
    Effect.gen(function* () {
      const self = yield* qwen3
      const thinking = conversations.prose.map((value): Message.ContentPart => ({ type: "thinking", thinking: value }))
      const arbitrary = fc.tuple(
        thinking,
        fc.option(conversations.prose, { nil: undefined }),
        fc.array(conversations.toolCall, { minLength: 1, maxLength: 3 })
      )
      check(arbitrary, ([thought, said, tool_calls]) => {
        const content = said === undefined ? [thought] : [thought, { type: "text", text: said }]
        const message = assistant(content, { tool_calls })
        const response = responseOf(self, [user("q"), message])
        const { failure, message: parsed } = Effect.runSync(self.renderer.parse(response))
        assert.isUndefined(failure)
        assert.strictEqual(JSON.stringify(parsed).normalize(), JSON.stringify(message).normalize())
        const deltas = [
          ...Effect.runSync(Stream.runCollect(Renderer.parseStream(self.renderer, Stream.fromIterable(response))))
        ]
        assert.lengthOf(
          deltas.filter(({ _tag }) => _tag === "ToolCall"),
          tool_calls.length
        )
      })
    })
  )

  it.effect("gives no weight to messages with weight 0, and leaves out examples that would train nothing", () =>
    Effect.gen(function* () {
      const self = yield* qwen3
      const messages = [user("a"), assistant("A", { weight: 0 }), user("b"), assistant("B", { weight: 0.5 })]
      const examples = yield* self.renderer.examples({ messages }, "all_assistant_messages")
      assert.lengthOf(examples, 1)
      assert.deepStrictEqual([...new Set(examples[0]!.weights)], [0, 0.5])
    })
  )

  it.effect("trains the first message of a conversation that the assistant begins", () =>
    Effect.gen(function* () {
      const self = yield* qwen3
      const messages = [assistant("Hello"), user("b"), assistant("B")]
      const [first] = yield* self.renderer.examples({ messages }, "all_assistant_messages")
      assert.strictEqual(shown(self, first!), "<|im_start|>assistant\n[Hello<|im_end|>]")
    })
  )
})

describe("a renderer", () => {
  it.effect("refuses what it has no form for, with its name and the path", () =>
    Effect.gen(function* () {
      const [think, plain, llama] = [
        yield* qwen3,
        yield* load("qwen3_disable_thinking", "qwen3"),
        yield* load("llama3", "llama3_1")
      ]
      const image = [
        user([
          { type: "text", text: "see" },
          { type: "image_url", image_url: { url: "x" } }
        ])
      ]
      const error = yield* Effect.flip(think.renderer.generationPrompt(image))
      assert.strictEqual(
        error.message,
        "messages.0.content.1: the renderer qwen3 has no form for content of the type image_url"
      )
      const reasoned = [user("q"), assistant("a", { reasoning_content: "r" })]
      const cases = [
        [
          refusal(plain.renderer.examples({ messages: reasoned }, "last_assistant_message")),
          "UnexpectedReasoning",
          "messages.1"
        ],
        [refusal(plain.renderer.example({ messages: [assistant("a")] }, "all_tokens")), "NoUserMessage", "messages"],
        [refusal(llama.renderer.example({ messages: reasoned }, "all_tokens")), "UnsupportedContent", "messages.1"],
        [
          refusal(llama.renderer.generationPrompt([user("q")], { tools: [{ name: "f" }] })),
          "UnsupportedTools",
          "tools"
        ],
        [
          refusal(think.renderer.examples({ messages: [user("q"), assistant("a")] }, "all_tokens")),
          "UnsupportedMode",
          undefined
        ],
        [
          refusal(think.renderer.example({ messages: [user("q")] }, "customized")),
          "InvalidConversation",
          "messages.0.trainable"
        ],
        [
          refusal(think.renderer.example({ messages: [{ ...user("q"), trainable: true }] }, "all_messages")),
          "InvalidConversation",
          "messages.0.trainable"
        ],
        [
          refusal(think.renderer.generationPrompt([assistant("", { tool_calls: [{ name: "f", arguments: "{" }] })])),
          "InvalidConversation",
          "messages.0.tool_calls.0.arguments"
        ]
      ] as const
      for (const [effect, reason, path] of cases) assert.deepStrictEqual(yield* effect, { reason, path })
    })
  )

  it.effect("refuses a tokenizer of another family", () =>
    Effect.gen(function* () {
      const { reason } = (yield* Effect.flip(
        Renderer.make("llama3", yield* vocabularies.load("qwen3"))
      )) as Renderer.RendererError
      assert.strictEqual(reason, "UnsupportedTokenizer")
    })
  )

  it.effect("says how a response ended", () =>
    Effect.gen(function* () {
      const colon = yield* load("role_colon", "llama3_1")
      const encode = (text: string) => colon.tokenizer.encode(text, { addSpecialTokens: false })
      const eos = colon.tokenizer.eos!.id
      const cases: ReadonlyArray<readonly [ReadonlyArray<number>, Renderer.Termination]> = [
        [encode(" yes\n\nUser:"), "stop_sequence"],
        [[...encode(" yes"), eos], "eos"],
        [encode(" yes"), "malformed"],
        [[...encode(" yes\n\nUser:"), eos], "malformed"],
        [encode(" yes\n\nUser: more\n\nUser:"), "malformed"]
      ]
      for (const [response, termination] of cases) {
        const parsed = yield* colon.renderer.parse(response)
        assert.strictEqual(parsed.termination, termination)
        assert.strictEqual(parsed.message.content, "yes")
        assert.strictEqual(parsed.failure?.kind, termination === "malformed" ? "structural" : undefined)
      }
      const { renderer } = yield* qwen3
      const end = renderer.stop[0] as number
      assert.strictEqual((yield* renderer.parse([end])).termination, "stop_sequence")
      assert.strictEqual((yield* Effect.flip(renderer.parse([end, end]))).reason, "WrongStopTokens")
    })
  )

  it.effect("reports tool calls that cannot be parsed as failures of content, with a bounded detail", () =>
    Effect.gen(function* () {
      const { renderer, tokenizer } = yield* qwen3
      const encode = (text: string) => [
        ...tokenizer.encode(text, { addSpecialTokens: false }),
        renderer.stop[0] as number
      ]
      const cases = [
        ["a\n<tool_call>\n{no}\n</tool_call>", "not JSON"],
        ["a\n<tool_call>\n[]\n</tool_call>", "not a JSON object"],
        ['a\n<tool_call>\n{"arguments": {}}\n</tool_call>', "no name"],
        ['a\n<tool_call>\n{"name": "f", "arguments": 1}\n</tool_call>', "arguments"],
        ["a\n<tool_call>\n{", "unterminated"]
      ]
      for (const [text, detail] of cases) {
        const { failure, message } = yield* renderer.parse(encode(text!))
        assert.strictEqual(failure?.kind, "content")
        assert.include(failure?.detail, detail)
        assert.strictEqual(message.content, "a")
        assert.lengthOf(message.unparsed_tool_calls!, 1)
      }
      const long = yield* renderer.parse(encode("<tool_call>x</tool_call>".repeat(2000)))
      assert.strictEqual(long.failure?.detail.length, 16_384)
    })
  )

  it.effect("holds back what may be part of a tag or of a character", () =>
    Effect.gen(function* () {
      const { renderer, tokenizer } = yield* qwen3
      const response = tokenizer.encode("<think>\n日\n</think>\n\n👩‍👩‍👧 <thin", { addSpecialTokens: false })
      const deltas = [...(yield* Stream.runCollect(Renderer.parseStream(renderer, Stream.fromIterable(response))))]
      assert.notInclude(JSON.stringify(deltas.slice(0, -1)), "\ufffd")
      const pieces = deltas.flatMap((delta) => (delta._tag === "Text" ? [delta.text] : []))
      assert.strictEqual(pieces.join(""), "👩‍👩‍👧 <thin")
      assert.strictEqual(pieces.at(-1), "<thin")
    })
  )

  it.effect("trains what each mode says, and nothing else", () =>
    Effect.gen(function* () {
      const self = yield* load("llama3", "llama3_1")
      const messages = [
        { role: "system", content: "s" },
        user("a"),
        assistant("A"),
        user("b"),
        assistant("B"),
        assistant("C")
      ]
      const header = (role: string) => `<|start_header_id|>${role}<|end_header_id|>\n\n`
      const cases: ReadonlyArray<readonly [Renderer.TrainOn, string]> = [
        ["last_assistant_message", "C"],
        ["last_assistant_turn", "BC"],
        ["all_assistant_messages", "ABC"],
        ["all_messages", "saAbBC"],
        ["all_user_and_system_messages", "sab"]
      ]
      for (const [mode, trained] of cases) {
        const expected = messages.map(({ content, role }) => {
          const text = `${content as string}<|eot_id|>`
          return header(role) + (trained.includes(content as string) ? `[${text}]` : text)
        })
        assert.strictEqual(
          shown(self, yield* self.renderer.example({ messages }, mode)),
          `<|begin_of_text|>${expected.join("")}`,
          mode
        )
      }
      const all = yield* self.renderer.example({ messages }, "all_tokens")
      assert.deepStrictEqual([...new Set(all.weights.subarray(1))], [1])
      assert.strictEqual(all.weights[0], 0)
    })
  )

  it.effect("begins the next message with a prefill, and with the role that is asked for", () =>
    Effect.gen(function* () {
      const self = yield* qwen3
      const prompt = yield* self.renderer.generationPrompt([user("q")], { role: "critic", prefill: "So<|im_end|>" })
      const tokens = Array.from(ModelInput.toTokens(prompt))
      assert.strictEqual(textOf(self, tokens), "<|im_start|>user\nq<|im_end|>\n<|im_start|>critic\nSo<|im_end|>")
      assert.lengthOf(
        tokens.filter((token) => token === self.renderer.stop[0]),
        1
      )
    })
  )
})

/** What a program logs. */
const withLogs = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const lines: Array<string> = []
  const logger = Logger.make(({ message }) => lines.push(String(message)))
  return Effect.map(effect, (value) => ({ value, lines })).pipe(
    Effect.provide(Logger.replace(Logger.defaultLogger, logger))
  )
}

describe("the renderers by name", () => {
  it.effect("are recommended by the family of a model", () =>
    Effect.gen(function* () {
      const cases = [
        ["Qwen/Qwen3-8B", ["qwen3", "qwen3_disable_thinking"]],
        ["Qwen/Qwen3-30B-A3B:peft:131072", ["qwen3", "qwen3_disable_thinking"]],
        ["Qwen/Qwen3-8B-Base", ["role_colon"]],
        ["Qwen/Qwen3-4B-Instruct-2507", ["qwen3_instruct"]],
        ["meta-llama/Llama-3.1-8B-Instruct", ["llama3"]],
        ["meta-llama/Llama-3.2-1B", ["role_colon"]]
      ] as const
      for (const [model, names] of cases) assert.deepStrictEqual(yield* Renderer.forModel(model), names as never)
    })
  )

  it.effect("are refused for models whose format is not known", () =>
    Effect.gen(function* () {
      const unknown = yield* Effect.flip(Renderer.forModel("acme/Rocket-1B"))
      assert.deepStrictEqual([unknown._tag, unknown.recommended], ["UnknownModel", []])
      const known = yield* Effect.flip(Renderer.forModel("Qwen/Qwen3.5-4B"))
      assert.deepStrictEqual(known.recommended, ["qwen3_5"])
      const name = yield* Effect.flip(Renderer.make("qwen4", yield* vocabularies.load("qwen3")))
      assert.include(name.message, "there is no renderer qwen4: choose one of role_colon, llama3")
    })
  )

  it.effect("are extended by layers, once a name", () =>
    Effect.gen(function* () {
      const tokenizer = yield* vocabularies.load("qwen3")
      const mine: Renderer.Make = (name) =>
        Effect.map(Renderer.make("qwen3", tokenizer), (self) => ({ ...self, name })).pipe(Effect.orDie)
      const layer = Renderer.layerRenderers({ "acme/mine": mine })
      const made = yield* Renderer.Renderer.pipe(
        Effect.provide(Renderer.layer("acme/mine", tokenizer)),
        Effect.provide(layer)
      )
      assert.strictEqual(made.name, "acme/mine")
      assert.include(yield* Effect.provide(Renderer.names, layer), "qwen3")
      for (const twice of [
        Renderer.layerRenderers({ qwen3: mine }),
        Layer.provide(Renderer.layerRenderers({ "acme/mine": mine }), layer)
      ]) {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(twice)))
        assert.strictEqual(error._tag, "DuplicateRenderer")
      }
    })
  )

  it.effect("are chosen by the program, else by the run, else by the model, with a warning where these differ", () =>
    Effect.gen(function* () {
      const model = "Qwen/Qwen3-8B"
      const metadata = { [Renderer.metadataKey]: "qwen3_disable_thinking" }
      const recommended = yield* withLogs(Renderer.choose({ model }))
      assert.deepStrictEqual(recommended, { value: "qwen3", lines: [] })
      const stored = yield* withLogs(Renderer.choose({ model, metadata }))
      assert.deepStrictEqual(stored, { value: "qwen3_disable_thinking", lines: [] })
      const chosen = yield* withLogs(Renderer.choose({ model, metadata, chosen: "role_colon" }))
      assert.strictEqual(chosen.value, "role_colon")
      assert.lengthOf(chosen.lines, 2)
      assert.include(chosen.lines[0], "was trained with the renderer qwen3_disable_thinking")
      assert.strictEqual((yield* Effect.flip(Renderer.choose({ model: "acme/Rocket-1B" })))._tag, "UnknownModel")
      assert.strictEqual(yield* Renderer.choose({ model: "acme/Rocket-1B", chosen: "role_colon" }), "role_colon")
    })
  )
})
