import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Capture from "@effect-tinker/cookbook/Capture"
import * as Trajectory from "@effect-tinker/cookbook/Trajectory"
import { assert, describe, it } from "@effect/vitest"
import { generateText, stepCountIs, tool } from "ai"
import * as Effect from "effect/Effect"
import OpenAI from "openai"
import { z } from "zod"
import { baseModel, listen, type Script, tokenizer } from "./utils/scriptedEngine.ts"

const script: Script = (prompt) => {
  if (prompt.includes("grey over Oslo")) return "It is grey."
  return prompt.includes('"weather"')
    ? '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
    : "Hello!"
}

const tools = {
  weather: tool({
    description: "The weather in a city",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => ({ sky: `grey over ${city}` })
  })
}

const start = (options?: Capture.Options) =>
  Effect.gen(function* () {
    const capture = yield* Capture.make(options)
    const { url } = yield* listen({ script, onCompletion: capture.onCompletion })
    return { capture, url }
  })

const chat = (url: string, content: string, conversation?: string, n = 1) =>
  Effect.promise(() =>
    new OpenAI({ baseURL: url, apiKey: "any" }).chat.completions.create(
      { model: baseModel, messages: [{ role: "user", content }], n },
      conversation === undefined ? {} : { headers: { "x-conversation-id": conversation } }
    )
  )

describe("Capture", () => {
  it.scopedLive("gives the turns of an agent that calls tools, exact at the token", () =>
    Effect.gen(function* () {
      const { capture, url } = yield* start()
      const { decode } = yield* tokenizer
      const provider = createOpenAICompatible({
        name: "tinker",
        baseURL: `${url}/v1`,
        headers: { "x-conversation-id": "problem-7" }
      })
      yield* Effect.promise(() =>
        generateText({ model: provider(baseModel), prompt: "The sky in Oslo?", tools, stopWhen: stepCountIs(3) })
      )
      const branches = yield* capture.take("problem-7")
      assert.lengthOf(branches, 1)
      const { captured, trajectory } = branches[0]!
      assert.strictEqual(trajectory.stop, "completed")
      assert.deepStrictEqual(
        trajectory.turns.map(({ action }) => decode(Array.from(action.tokens))),
        [`${script('"weather"')}<|im_end|>`, "It is grey.<|im_end|>"]
      )
      for (const { action, observation } of trajectory.turns) {
        assert.strictEqual(action.logprobs.length, action.tokens.length)
        assert.include(decode(Array.from(ModelInput.toTokens(observation))), "The sky in Oslo?")
      }
      assert.deepStrictEqual(
        captured.map(({ base_model, model_path, pieces }) => [base_model, model_path, pieces.map(({ _tag }) => _tag)]),
        [
          [baseModel, undefined, ["ToolCall"]],
          [baseModel, undefined, ["Text"]]
        ]
      )
      assert.isAbove(Trajectory.toExamples(trajectory, 1).length, 0)
      assert.deepStrictEqual(yield* capture.keys, [])
    })
  )

  it.scopedLive("tells retries and samples of one prompt apart, and conversations by header and by path", () =>
    Effect.gen(function* () {
      const { capture, url } = yield* start()
      yield* chat(`${url}/v1`, "hi", "a")
      yield* chat(`${url}/v1`, "hi", "a")
      yield* chat(`${url}/conversations/b/v1`, "hi", undefined, 3)
      yield* chat(`${url}/v1`, "hi")
      assert.deepStrictEqual(yield* capture.keys, ["a", "b"])
      assert.lengthOf(yield* capture.branches("a"), 2)
      const three = yield* capture.branches("b")
      assert.deepStrictEqual(
        three.map(({ trajectory }) => trajectory.turns.length),
        [1, 1, 1]
      )
      assert.lengthOf(new Set(three.map(({ trajectory }) => trajectory.turns[0]!.action.sequence_id)), 3)
    })
  )

  it.scopedLive("keeps so many conversations and sequences, and no more", () =>
    Effect.gen(function* () {
      const { capture, url } = yield* start({ maxConversations: 2, maxSequences: 2 })
      for (const key of ["a", "b", "c", "c", "c"]) yield* chat(`${url}/v1`, "hi", key)
      assert.deepStrictEqual(yield* capture.keys, ["b", "c"])
      assert.lengthOf(yield* capture.branches("c"), 2)
      assert.lengthOf(yield* capture.branches("a"), 0)
    })
  )
})
