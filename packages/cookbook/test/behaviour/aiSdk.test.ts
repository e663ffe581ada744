import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import { assert, describe, it } from "@effect/vitest"
import { generateText, stepCountIs, streamText, tool } from "ai"
import * as Effect from "effect/Effect"
import { z } from "zod"
import { baseModel, listen, type Script } from "../utils/scriptedEngine.ts"

const call = (name: string, args: unknown) => `<tool_call>\n${JSON.stringify({ name, arguments: args })}\n</tool_call>`

const script: Script = (prompt) => {
  if (prompt.includes("grey over Oslo")) return "It is grey."
  return prompt.includes('"weather"') ? call("weather", { city: "Oslo" }) : "Hello, wörld!"
}

const withModel = <A>(
  program: (model: ReturnType<ReturnType<typeof createOpenAICompatible>>) => Promise<A>,
  pause?: Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const { url } = yield* listen({ script, pause })
    const provider = createOpenAICompatible({ name: "tinker", baseURL: `${url}/v1`, includeUsage: true })
    return yield* Effect.promise(() => program(provider(baseModel)))
  })

const tools = {
  weather: tool({
    description: "The weather in a city",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => ({ sky: `grey over ${city}` })
  })
}

describe("the AI SDK", () => {
  it.scopedLive("generates text", () =>
    withModel(async (model) => {
      const result = await generateText({ model, prompt: "hi", maxRetries: 0 })
      assert.strictEqual(result.text, "Hello, wörld!")
      assert.strictEqual(result.finishReason, "stop")
      assert.strictEqual(result.usage.cachedInputTokens, 3)
    })
  )

  it.scopedLive("streams text", () =>
    withModel(async (model) => {
      const result = streamText({ model, prompt: "hi", maxRetries: 0 })
      const pieces: Array<string> = []
      for await (const piece of result.textStream) pieces.push(piece)
      assert.strictEqual(pieces.join(""), "Hello, wörld!")
      assert.isAbove(pieces.length, 2)
      assert.isAbove((await result.usage).outputTokens!, 2)
    }, Effect.sleep("1 millis"))
  )

  it.scopedLive("runs an agent that calls a tool, whole and in a stream", () =>
    withModel(async (model) => {
      const options = { model, prompt: "The sky in Oslo?", tools, stopWhen: stepCountIs(3), maxRetries: 0 }
      const whole = await generateText(options)
      assert.strictEqual(whole.text, "It is grey.")
      assert.lengthOf(whole.steps, 2)
      const streamed = streamText(options)
      assert.strictEqual(await streamed.text, "It is grey.")
      assert.deepStrictEqual(
        (await streamed.steps)[0]!.toolCalls.map(({ input, toolName }) => [toolName, input]),
        [["weather", { city: "Oslo" }]]
      )
    })
  )
})
