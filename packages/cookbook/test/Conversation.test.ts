import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import { assert, describe, it } from "@effect/vitest"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import { fileURLToPath } from "node:url"
import * as Conversation from "../src/Conversation.ts"
import * as Dataset from "../src/Dataset.ts"
import * as files from "./utils/files.ts"

const nano = Tokenizer.fromDirectory(fileURLToPath(new URL("../../engine/models/nano", import.meta.url))).pipe(
  Effect.provide(NodeContext.layer)
)

/** The texts with weight 1, one for each run of tokens. */
const trainedOn = (
  tokenizer: Tokenizer.Service,
  datum: Effect.Effect.Success<ReturnType<typeof Conversation.toDatum>>
) => {
  const targets = Array.from(datum.loss_fn_inputs.target_tokens.data, Number)
  const weights = Array.from(datum.loss_fn_inputs.weights.data, Number)
  assert.strictEqual(ModelInput.length(datum.model_input), targets.length)
  const texts: Array<Array<number>> = []
  weights.forEach((weight, i) => {
    if (weight === 0) return
    if (i === 0 || weights[i - 1] === 0) texts.push([])
    texts.at(-1)!.push(targets[i]!)
  })
  return texts.map((tokens) => tokenizer.decode(tokens))
}

const messages = [
  { role: "system", content: "be brief" },
  { role: "user", content: "one?" },
  { role: "assistant", content: "1" },
  { role: "user", content: "two?" },
  { role: "assistant", content: "2" }
] as const

describe("Conversation", () => {
  it.effect("gives weight to all messages of the assistant", () =>
    Effect.gen(function* () {
      const tokenizer = yield* nano
      const datum = yield* Conversation.toDatum({ messages: [...messages] }, tokenizer)
      assert.deepStrictEqual(
        trainedOn(tokenizer, datum).map((text) => text.trim()),
        ["1<|im_end|>", "2<|im_end|>"]
      )
    })
  )

  it.effect("drops messages after the last one of the assistant", () =>
    Effect.gen(function* () {
      const tokenizer = yield* nano
      const datum = yield* Conversation.toDatum({ messages: messages.slice(0, 4) as never }, tokenizer)
      assert.notInclude(tokenizer.decode(Array.from(ModelInput.toTokens(datum.model_input))), "two?")
      assert.strictEqual(trainedOn(tokenizer, datum).length, 1)
    })
  )

  it.effect("gives weight to the last turn only, if the template renders earlier turns differently", () =>
    Effect.gen(function* () {
      const tokenizer = yield* nano
      // drops all messages of the assistant but the last
      const template =
        "{% for m in messages %}{% if m.role != 'assistant' or loop.last %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}" +
        "{% if add_generation_prompt %}<assistant>{% endif %}"
      const encoder: Conversation.Encoder = {
        ...tokenizer,
        encodeChat: (messages, options) => tokenizer.encodeChat(messages, { ...options, template })
      }
      const datum = yield* Conversation.toDatum({ messages: [...messages] }, encoder)
      assert.deepStrictEqual(trainedOn(tokenizer, datum), ["2"])
    })
  )

  it.effect("appends the end-of-sequence token to a completion", () =>
    Effect.gen(function* () {
      const tokenizer = yield* nano
      const datum = yield* Conversation.toDatum({ prompt: "a", completion: "b" }, tokenizer)
      assert.deepStrictEqual(trainedOn(tokenizer, datum), [`b${tokenizer.eos!.token}`])
    })
  )

  it.effect("names the line of a conversation without an assistant", () =>
    files.run(
      Effect.gen(function* () {
        const { write } = yield* files.temporary
        const path = yield* write("data.jsonl", '{"messages":[{"role":"user","content":"a"}]}')
        assert.match((yield* Effect.flip(Dataset.read(Conversation.Record, path))).message, /data\.jsonl:1: /)
      })
    )
  )
})
