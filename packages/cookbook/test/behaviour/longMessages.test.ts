/** Messages of many tokens: they are rendered, and nothing else waits for that. */
import * as Renderer from "@effect-tinker/cookbook/Renderer"
import * as SupervisedExample from "@effect-tinker/cookbook/SupervisedExample"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import "../utils/needsVocabularies.ts"
import * as vocabularies from "../utils/vocabularies.ts"

const line = "The quick brown fox, 12 x = y + z;\n"
const long = line.repeat(16_000)
const conversation = {
  messages: [
    { role: "user", content: long },
    { role: "assistant", content: `${long}.` }
  ]
}

/** How often the event loop came round while an effect ran. */
const turnsOf = <A, E>(effect: Effect.Effect<A, E>) =>
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

const subjects = [
  ["role_colon", "qwen3"],
  ["llama3", "llama3_1"],
  ["qwen3", "qwen3"],
  ["chat_template", "gemma3"]
] as const

describe.each(subjects)("%s with messages of half a megabyte", (name, vocabulary) => {
  it.live("renders them in steps, and says that the example is too long", () =>
    Effect.gen(function* () {
      const tokenizer = yield* vocabularies.load(vocabulary)
      const renderer = yield* Renderer.make(name, tokenizer)
      const { turns, value } = yield* turnsOf(renderer.example(conversation, "all_assistant_messages"))
      assert.isAbove(value.weights.filter((weight) => weight > 0).length, 160_000)
      assert.isAbove(turns, 10)
      const prompt = yield* renderer.generationPrompt(conversation.messages.slice(0, 1))
      assert.strictEqual(prompt.chunks.length, 1)
      const error = yield* Effect.flip(
        SupervisedExample.fromConversation(renderer, conversation, { maxLength: 4096, tooLong: "fail" })
      )
      assert.match(error.message, /has \d+ tokens, and 4096 are allowed/)
    })
  )
})
