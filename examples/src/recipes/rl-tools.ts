/**
 * Reinforcement learning of the use of a tool: the model is asked for a word that it cannot know, and may look it up first. It
 * was shown answers of both kinds, and learns from the reward that only those behind the tool are right.
 */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Env from "@effect-tinker/cookbook/Env"
import type * as Message from "@effect-tinker/cookbook/Message"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as Rollouts from "@effect-tinker/cookbook/Rollouts"
import * as Toolkits from "@effect-tinker/cookbook/Toolkits"
import * as Trajectory from "@effect-tinker/cookbook/Trajectory"
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

const Library = Toolkit.make(
  Tool.make("look", {
    description: "The word of a key",
    parameters: { key: Schema.String },
    success: Schema.String,
    failure: Schema.String,
    failureMode: "return"
  })
)

/** A library with one word. */
const tools = (key: string, word: string) =>
  Toolkits.tools(Library).pipe(
    Effect.provide(
      Library.toLayer({ look: (asked) => (asked.key === key ? Effect.succeed(word) : Effect.fail("nothing")) })
    )
  )

const question = (key: string) => `key ${key} ->`

/** A line for each message; the question is repeated behind what a tool has found. */
const lineOf = (first: string, { content, role }: Message.Message): string =>
  role === "user" ? first : role === "tool" ? `found ${String(content)}\n${first}` : `${String(content)}\n`

/** How this model writes and reads conversations: a call is ` look KEY`, anything else is an answer. */
const rendererOf = (base: BaseModel.Service): Env.ConversationOptions["renderer"] => ({
  stop: ["\n"],
  generationPrompt: (messages) =>
    Effect.sync(() => {
      const first = String(messages[0]!.content)
      return ModelInput.fromTokens(base.encode(messages.map((message) => lineOf(first, message)).join("")))
    }),
  parse: (tokens) =>
    Effect.sync(() => {
      const text = base.decode(Int32Array.from(tokens))
      const content = text.replace(/\n$/, "")
      const key = /^ look ([a-z]+)$/.exec(content)?.[1]
      const tool_calls = key === undefined ? {} : { tool_calls: [{ function: { name: "look", arguments: { key } } }] }
      const isWhole = text.endsWith("\n")
      return {
        message: { role: "assistant", content, ...tool_calls },
        termination: isWhole ? "stop_sequence" : "malformed",
        failure: isWhole ? undefined : { kind: "structural", detail: "the line has no end" }
      }
    })
})

/** Words behind keys, as `abc -> xyz`. */
const entries = (name: string, count: number) =>
  Effect.zipWith(
    letters.tasks(`${name}, keys`, count, (word) => word),
    letters.tasks(`${name}, words`, count, (word) => word),
    (keys, words) => keys.map(({ answer }, i) => ({ key: answer.trim(), word: words[i]!.answer.trim() }))
  )

type Entry = Effect.Effect.Success<ReturnType<typeof entries>>[number]

const groupsOf = (base: BaseModel.Service, all: ReadonlyArray<Entry>, size: number) =>
  Effect.forEach(all, ({ key, word }) =>
    Effect.map(tools(key, word), (tools) =>
      Env.conversation({
        renderer: rendererOf(base),
        messages: [{ role: "user", content: question(key) }],
        size,
        tools,
        parseFailures: { maxConsecutive: 0 },
        reply: ({ content }) => ({ reward: content === ` ${word}` ? 1 : 0 })
      })
    )
  )

/** A call, an answer behind a call, and an answer at once, which is as good as any. */
const shownOf = (all: ReadonlyArray<Entry>): ReadonlyArray<letters.Task> =>
  all.map(({ key, word }, i) => {
    const call = ` look ${key}`
    if (i % 3 === 0) return { prompt: question(key), answer: call }
    if (i % 3 === 1) return { prompt: question(key), answer: ` ${word}` }
    return { prompt: `${question(key)}${call}\nfound ${word}\n${question(key)}`, answer: ` ${word}` }
  })

const rollouts = { ...letters.settings.rollouts, limits: { maxTurns: 3 } }

export const useTools: Recipe = {
  name: "rl-tools",
  group: "rl",
  nightly: "samples later turns one by one",
  run: ({ seed }) =>
    Effect.gen(function* () {
      const base = yield* BaseModel.BaseModel
      const service = yield* ServiceClient.ServiceClient
      const held = yield* groupsOf(base, yield* entries("held out", 64), 4)
      const found = (sampler: Rollouts.Sampler) =>
        Effect.map(Rollouts.run(sampler, held, rollouts, { run: 1000, step: 0 }), (groups) => {
          const rewards = groups.flatMap(Trajectory.rewards)
          return rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length
        })
      const { sampler, ...model } = yield* letters.warmUp(shownOf(yield* entries("shown", 640)), { steps: 40, seed })
      const before = yield* found(yield* service.createSamplingClient({ model_path: sampler }))
      const { rows, sampling } = yield* Rl.run({
        ...letters.settings,
        model,
        seed,
        rollouts,
        groups: {
          at: (step) => Effect.flatMap(entries(`step ${step}`, 8), (all) => groupsOf(base, all, 8))
        },
        steps: 16
      })
      const after = yield* found(sampling)
      const passed = after >= 0.7 && after - before >= 0.2 && letters.divergence(rows) < 1e-4
      return { before, after, line: "right words ≥ 0.7, gain ≥ 0.2, |KL| < 1e-4", passed }
    })
}
