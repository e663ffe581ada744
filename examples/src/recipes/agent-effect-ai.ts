/**
 * An agent of `@effect/ai`, trained in its own process: it asks a `LanguageModel` for the past tense of a verb, and asks again
 * where the answer is no word. A layer says that the model is the one that is trained.
 */
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Agents from "@effect-tinker/cookbook/Agents"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as TinkerLanguageModel from "@effect-tinker/cookbook/TinkerLanguageModel"
import * as Chat from "@effect/ai/Chat"
import * as Effect from "effect/Effect"
import * as agents from "./agents.ts"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

/** The agent. It would be the same with any other model. */
const agent = Effect.fnUntraced(function* (verb: string) {
  const chat = yield* Chat.empty
  const { text } = yield* chat.generateText({ prompt: agents.question(verb) })
  if (agents.isWord(text)) return text
  return (yield* chat.generateText({ prompt: agents.again })).text
})

export const agentOfEffectAi: Recipe = {
  name: "agent-effect-ai",
  group: "agents",
  nightly: "samples one request at a time",
  run: ({ data, full, seed }) =>
    Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      const renderer = yield* agents.renderer
      const { held, shown } = yield* letters.verbs({ data, full })
      const run = (sampling: TinkerLanguageModel.Options["sampling"], task: letters.Task) =>
        agent(agents.verbOf(task)).pipe(
          Effect.provide(TinkerLanguageModel.layer({ sampling, renderer, maxTokens: agents.maxTokens }))
        )
      const score = (sampling: SamplingClient.SamplingClient) => agents.score(held, (task) => run(sampling, task))
      const { sampler, ...model } = yield* agents.warmUp(shown, seed)
      const before = yield* score(yield* service.createSamplingClient({ model_path: sampler }))
      const groupOf = (task: letters.Task) =>
        Agents.local({
          size: 8,
          run: ({ sampling }) => Effect.map(run(sampling, task), (text) => agents.rewardOf(text, task))
        })
      const { rows, sampling } = yield* Rl.run({
        ...letters.settings,
        model,
        seed,
        groups: { at: (step) => Effect.succeed(agents.tasksAt(shown, step, 8).map(groupOf)) },
        steps: full ? 20 : 6
      })
      const after = yield* score(sampling)
      const [least, gain] = full ? [0.55, 0.15] : [0.45, 0.05]
      const passed = after >= least && after - before >= gain && letters.divergence(rows) < 1e-4
      return { before, after, line: `right words ≥ ${least}, gain ≥ ${gain}, |KL| < 1e-4`, passed }
    })
}
