import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Agents from "@effect-tinker/cookbook/Agents"
import * as Capture from "@effect-tinker/cookbook/Capture"
import * as Renderer from "@effect-tinker/cookbook/Renderer"
import * as Rollouts from "@effect-tinker/cookbook/Rollouts"
import * as TinkerLanguageModel from "@effect-tinker/cookbook/TinkerLanguageModel"
import * as Trajectory from "@effect-tinker/cookbook/Trajectory"
import * as TinkerServer from "@effect-tinker/server/TinkerServer"
import * as LanguageModel from "@effect/ai/LanguageModel"
import { assert, describe, it } from "@effect/vitest"
import { generateText, stepCountIs, tool } from "ai"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import OpenAI from "openai"
import { z } from "zod"
import { baseModel, listen, samplerOf, type Script, tokenizer } from "./utils/scriptedEngine.ts"

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

const start = (options?: Capture.Options, apiKeys: ReadonlyArray<Redacted.Redacted> = []) =>
  Effect.gen(function* () {
    const capture = yield* Capture.make(options)
    const { url } = yield* listen({ script, onCompletion: capture.onCompletion, server: { apiKeys } })
    return { capture, url }
  })

interface Sender {
  readonly apiKey?: string
  readonly headers?: { readonly [name: string]: string }
}

const chat = (url: string, content: string, conversation?: string, n = 1, { apiKey = "any", headers }: Sender = {}) =>
  Effect.promise(() =>
    new OpenAI({ baseURL: url, apiKey }).chat.completions.create(
      { model: baseModel, messages: [{ role: "user", content }], n },
      { headers: { ...headers, ...(conversation === undefined ? {} : { "x-conversation-id": conversation }) } }
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
      assert.deepStrictEqual(yield* capture.keys(), [])
    })
  )

  it.scopedLive("tells retries and samples of one prompt apart, and conversations by header and by path", () =>
    Effect.gen(function* () {
      const { capture, url } = yield* start()
      yield* chat(`${url}/v1`, "hi", "a")
      yield* chat(`${url}/v1`, "hi", "a")
      yield* chat(`${url}/conversations/b/v1`, "hi", undefined, 3)
      yield* chat(`${url}/v1`, "hi")
      assert.deepStrictEqual(yield* capture.keys(), ["a", "b"])
      assert.lengthOf(yield* capture.branches("a"), 2)
      const three = yield* capture.branches("b")
      assert.deepStrictEqual(
        three.map(({ trajectory }) => trajectory.turns.length),
        [1, 1, 1]
      )
      assert.lengthOf(new Set(three.map(({ trajectory }) => trajectory.turns[0]!.action.sequence_id)), 3)
    })
  )

  it.scopedLive("keeps users apart who give their conversations the same key", () =>
    Effect.gen(function* () {
      const keys = [Redacted.make("tml-one"), Redacted.make("tml-two")]
      const { capture, url } = yield* start({ maxConversations: 1 }, keys)
      const [one, two] = yield* Effect.forEach(keys, TinkerServer.userOf)
      yield* chat(`${url}/v1`, "the secret of one", "a", 1, { apiKey: "tml-one" })
      yield* chat(`${url}/conversations/a/v1`, "of two", undefined, 1, { apiKey: "tml-two" })
      const { decode } = yield* tokenizer
      const prompts = (branches: ReadonlyArray<Capture.Branch>) =>
        branches.map(({ trajectory }) => decode(Array.from(ModelInput.toTokens(trajectory.turns[0]!.observation))))
      const ofTwo = prompts(yield* capture.take("a", two))
      assert.lengthOf(ofTwo, 1)
      assert.include(ofTwo[0]!, "of two")
      // what one user takes or has too much of is no other's
      yield* chat(`${url}/v1`, "hi", "b", 1, { apiKey: "tml-two" })
      const ofOne = prompts(yield* capture.branches("a", one))
      assert.lengthOf(ofOne, 1)
      assert.include(ofOne[0]!, "the secret of one")
      assert.deepStrictEqual([yield* capture.keys(one), yield* capture.keys(two)], [["a"], ["b"]])
      // nobody is the user of all
      assert.deepStrictEqual([yield* capture.keys(), yield* capture.branches("a")], [[], []])
    })
  )

  it.scopedLive("keeps turns apart whose requests have the same id", () =>
    Effect.gen(function* () {
      const { capture, url } = yield* start()
      const headers = { "x-request-id": "the-same" }
      yield* chat(`${url}/v1`, "hi", "a", 1, { headers })
      yield* chat(`${url}/v1`, "hi", "a", 1, { headers })
      const ids = (yield* capture.branches("a")).map(({ trajectory }) => trajectory.turns[0]!.action.sequence_id)
      assert.lengthOf(new Set(ids), 2)
    })
  )

  it.scopedLive("makes an episode of what an agent did, with the reward at its end", () =>
    Effect.gen(function* () {
      const apiKey = "tml-one"
      const { capture, url } = yield* start({}, [Redacted.make(apiKey)])
      const user = yield* TinkerServer.userOf(Redacted.make(apiKey))
      const keys: Array<string> = []
      const agent = Agents.group({
        capture,
        user,
        size: 2,
        run: ({ key, member, model }) =>
          Effect.gen(function* () {
            keys.push(key)
            assert.strictEqual(model, `tinker://run/sampler_weights/policy`)
            const provider = createOpenAICompatible({
              name: "tinker",
              apiKey,
              baseURL: `${url}/conversations/${key}/v1`
            })
            const { text } = yield* Effect.promise(() =>
              generateText({ model: provider(baseModel), prompt: "The sky in Oslo?", tools, stopWhen: stepCountIs(3) })
            )
            if (member === 1) yield* chat(`${url}/v1`, "another conversation", key, 1, { apiKey })
            return text === "It is grey." ? 1 : 0
          }),
        timeout: "1 minute"
      })
      const sampler = { sample: () => Effect.die("it samples by itself"), path: "tinker://run/sampler_weights/policy" }
      const place = { run: 3, step: 4, group: 5 }
      const { trajectories } = yield* Rollouts.group(sampler, agent, {}, place)
      assert.deepStrictEqual(
        trajectories.map(({ metrics, reward, stop, turns }) => [turns.length, reward, stop, metrics?.["branches"]]),
        [
          [2, 1, "completed", 1],
          [3, 1, "completed", 2]
        ]
      )
      assert.strictEqual(new Set(keys).size, 2)
      assert.deepStrictEqual(yield* capture.keys(user), [])
      for (const trajectory of trajectories) assert.isAbove(Trajectory.toExamples(trajectory, 1).length, 0)
      const silent = Agents.group({ capture, size: 1, run: () => Effect.succeed(1) })
      const error = yield* Effect.flip(Rollouts.group(sampler, silent, {}, place))
      assert.isTrue(error instanceof Agents.NothingCaptured)
      const nowhere = yield* Effect.flip(Rollouts.group({ sample: sampler.sample }, silent, {}, place))
      assert.match(String(nowhere), /capture needs weights that are saved/)
    })
  )

  it.scopedLive("remembers what an agent of @effect/ai samples in this program, whole or in a stream", () =>
    Effect.gen(function* () {
      const client = yield* samplerOf({ script })
      const renderer = yield* Renderer.make("qwen3_instruct", yield* tokenizer)
      const seeds: Array<unknown> = []
      const sampler: Rollouts.Sampler = {
        sample: (prompt, options) => {
          seeds.push(options?.sampling_params?.seed)
          return client.sample(prompt, options)
        }
      }
      const group = Agents.local({
        size: 2,
        run: ({ member, sampling }) => {
          const prompt = { prompt: "hi" }
          const text =
            member === 0
              ? Effect.map(LanguageModel.generateText(prompt), ({ text }) => text)
              : LanguageModel.streamText(prompt).pipe(
                  Stream.runFold("", (text, part) => (part.type === "text-delta" ? text + part.delta : text))
                )
          return text.pipe(
            Effect.map((text) => ({ reward: text === "Hello!" ? 1 : 0, logs: { text } })),
            Effect.provide(TinkerLanguageModel.layer({ sampling, renderer, maxTokens: 32 }))
          )
        }
      })
      const { trajectories } = yield* Rollouts.group(sampler, group, {}, { run: 0, step: 0, group: 0 })
      const { decode } = yield* tokenizer
      assert.deepStrictEqual(
        trajectories.map(({ reward, stop, turns }) => [
          reward,
          stop,
          turns.map(({ action }) => decode(Array.from(action.tokens)))
        ]),
        [
          [1, "completed", ["Hello!<|im_end|>"]],
          [1, "completed", ["Hello!<|im_end|>"]]
        ]
      )
      assert.strictEqual(new Set(seeds).size, 2)
      assert.isTrue(seeds.every((seed) => Number.isInteger(seed)))
    })
  )

  it.scopedLive("keeps so many conversations and sequences, and no more", () =>
    Effect.gen(function* () {
      const { capture, url } = yield* start({ maxConversations: 2, maxSequences: 2 })
      for (const key of ["a", "b", "c", "c", "c"]) yield* chat(`${url}/v1`, "hi", key)
      assert.deepStrictEqual(yield* capture.keys(), ["b", "c"])
      assert.lengthOf(yield* capture.branches("c"), 2)
      assert.lengthOf(yield* capture.branches("a"), 0)
    })
  )
})
