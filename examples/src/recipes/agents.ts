/** What agents learn in recipes: to say the past tense of a verb in a conversation. */
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Renderer from "@effect-tinker/cookbook/Renderer"
import * as Supervised from "@effect-tinker/cookbook/Supervised"
import * as SupervisedExample from "@effect-tinker/cookbook/SupervisedExample"
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import type * as letters from "./letters.ts"

export const maxTokens = 16

export const tokenizer = Effect.flatMap(ModelDirectory.nano, Tokenizer.fromDirectory)

export const renderer = Effect.flatMap(tokenizer, (tokenizer) => Renderer.make("chat_template", tokenizer))

export const verbOf = ({ prompt }: letters.Task): string => prompt.replace(" ->", "")

/** What an agent asks the model. */
export const question = (verb: string): string => `past of ${verb}?`

/** What it asks behind an answer that is no word. */
export const again = "a word"

export const isWord = (text: string): boolean => /^[a-z]+$/.test(text)

export const rewardOf = (text: string, { answer }: letters.Task): number => (text === answer.trim() ? 1 : 0)

/** The share of answers that are right, of two answers for each task. */
export const score = <E, R>(
  tasks: ReadonlyArray<letters.Task>,
  ask: (task: letters.Task, name: string) => Effect.Effect<string, E, R>
): Effect.Effect<number, E, R> =>
  Effect.map(
    Effect.forEach(
      [...tasks, ...tasks],
      (task, i) => Effect.map(ask(task, `held-${i}`), (text) => rewardOf(text, task)),
      { concurrency: 32 }
    ),
    (all) => all.reduce((sum, one) => sum + one, 0) / all.length
  )

/** The paths of a model that has seen a few such conversations. */
export const warmUp = Effect.fnUntraced(function* (shown: ReadonlyArray<letters.Task>, seed: number) {
  const base = yield* BaseModel.BaseModel
  const format = yield* renderer
  const examples = yield* Effect.forEach(shown, (task) =>
    SupervisedExample.fromConversation(
      format,
      {
        messages: [
          { role: "user", content: question(verbOf(task)) },
          { role: "assistant", content: task.answer.trim() }
        ]
      },
      { reduction: "none" }
    )
  )
  const { checkpoint } = yield* Supervised.run({
    model: { base_model: base.name, rank: 16, seed },
    batches: Batches.make(
      examples.flatMap(({ datums }) => datums),
      { size: 16, seed }
    ),
    steps: 8,
    learningRate: LearningRate.linear(5e-3),
    checkpoints: { name: "warm" }
  })
  return { base_model: base.name, weights: checkpoint!.state_path!, sampler: checkpoint!.sampler_path! }
})

/** Problems of a step, so many of them. */
export const tasksAt = (shown: ReadonlyArray<letters.Task>, step: number, count: number) =>
  Array.from({ length: count }, (_, i) => shown[(step * count + i) % shown.length]!)
