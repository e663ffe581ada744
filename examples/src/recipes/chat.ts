/** Supervised training on conversations: a model of plain text learns to answer in a chat, and only the answer. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as Conversation from "@effect-tinker/cookbook/Conversation"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Supervised from "@effect-tinker/cookbook/Supervised"
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
  tokenizer: Tokenizer.Service,
  conversations: ReadonlyArray<ReturnType<typeof conversationOf>>
) {
  const endOfTurn = tokenizer.tokenToId("<|im_end|>")!
  const isRight = Effect.fnUntraced(function* ([question, answer]: ReturnType<typeof conversationOf>) {
    const prompt = yield* tokenizer.encodeChat([question!], { addGenerationPrompt: true })
    const { sequences } = yield* sampling.sample(ModelInput.fromTokens(prompt), {
      sampling_params: { max_tokens: 16, temperature: 0, stop: [endOfTurn] }
    })
    const tokens = sequences[0]?.tokens ?? []
    return tokens.at(-1) === endOfTurn && tokenizer.decode(tokens.slice(0, -1)).trim() === answer!.content
  })
  const right = yield* Effect.forEach(conversations, isRight, { concurrency: "unbounded" })
  return right.filter(Boolean).length / right.length
})

export const chat: Recipe = {
  name: "chat-sft",
  group: "sft",
  run: ({ data, full }) =>
    Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      const base = yield* BaseModel.BaseModel
      const tokenizer = yield* Tokenizer.fromDirectory(yield* ModelDirectory.nano)
      const records = yield* Dataset.read(Dataset.PromptCompletion, data)
      const conversations = records.filter(({ split }) => split !== "test").map(conversationOf)
      const heldOut = records
        .filter(({ split }) => split === "test")
        .slice(0, full ? 128 : 32)
        .map(conversationOf)
      const examples = yield* Effect.forEach(conversations, (messages) =>
        Conversation.fromMessages(messages, tokenizer)
      )

      const untrained = yield* service.createSamplingClient({ base_model: base.name })
      const before = yield* score(untrained, tokenizer, heldOut)
      const { training } = yield* Supervised.run({
        model: { base_model: base.name, rank: 16, seed: 0 },
        batches: Batches.make(examples, { size: 16, seed: 0 }),
        steps: full ? 160 : 40,
        learningRate: LearningRate.linear(5e-3)
      })
      const after = yield* score(yield* training.saveWeightsAndGetSamplingClient(), tokenizer, heldOut)
      const least = full ? 0.6 : 0.5
      return { before, after, line: `right answers that end ≥ ${least}`, passed: after >= least }
    })
}
