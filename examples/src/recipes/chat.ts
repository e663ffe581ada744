/** Supervised training on conversations: a model of plain text learns to answer in a chat, and only the answer. */
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Renderer from "@effect-tinker/cookbook/Renderer"
import * as Supervised from "@effect-tinker/cookbook/Supervised"
import * as SupervisedExample from "@effect-tinker/cookbook/SupervisedExample"
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import type { Recipe } from "./recipe.ts"

/** A conversation about a verb, from a line of the data such as `walk -> walked`. */
const conversationOf = ({ completion, prompt }: Dataset.PromptCompletion) => [
  { role: "user", content: `past of ${prompt.replace(" ->", "")}?` },
  { role: "assistant", content: completion.trim() }
]

/** The share of questions to which the model gives the right answer and ends its turn. */
const score = Effect.fnUntraced(function* (
  sampling: SamplingClient.SamplingClient,
  renderer: Renderer.Service,
  conversations: ReadonlyArray<ReturnType<typeof conversationOf>>
) {
  const isRight = Effect.fnUntraced(function* ([question, answer]: ReturnType<typeof conversationOf>) {
    const prompt = yield* renderer.generationPrompt([question!])
    const { sequences } = yield* sampling.sample(prompt, {
      sampling_params: { max_tokens: 16, temperature: 0, stop: renderer.stop }
    })
    const { message, termination } = yield* renderer.parse(sequences[0]?.tokens ?? [])
    return termination === "stop_sequence" && message.content === answer!.content
  })
  const right = yield* Effect.forEach(conversations, isRight, { concurrency: "unbounded" })
  return right.filter(Boolean).length / right.length
})

export const chat: Recipe = {
  name: "chat-sft",
  group: "sft",
  run: ({ data, full, seed }) =>
    Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      const base = yield* BaseModel.BaseModel
      const tokenizer = yield* Tokenizer.fromDirectory(yield* ModelDirectory.nano)
      const renderer = yield* Renderer.make("chat_template", tokenizer)
      const records = yield* Dataset.read(Dataset.PromptCompletion, data)
      const conversations = records
        .filter(({ split }) => split !== "test")
        .slice(0, full ? undefined : 512)
        .map(conversationOf)
      const heldOut = records
        .filter(({ split }) => split === "test")
        .slice(0, full ? 128 : 32)
        .map(conversationOf)
      // one answer a conversation: there is one datum for each
      const examples = yield* Effect.forEach(conversations, (messages) =>
        SupervisedExample.fromConversation(renderer, { messages }, { reduction: "none" })
      )

      const untrained = yield* service.createSamplingClient({ base_model: base.name })
      const before = yield* score(untrained, renderer, heldOut)
      const { training } = yield* Supervised.run({
        model: { base_model: base.name, rank: 16, seed },
        batches: Batches.make(
          examples.flatMap(({ datums }) => datums),
          { size: 16, seed }
        ),
        steps: full ? 160 : 32,
        learningRate: LearningRate.linear(5e-3)
      })
      const after = yield* score(yield* training.saveWeightsAndGetSamplingClient(), renderer, heldOut)
      const least = full ? 0.6 : 0.5
      return { before, after, line: `right answers that end ≥ ${least}`, passed: after >= least }
    })
}
