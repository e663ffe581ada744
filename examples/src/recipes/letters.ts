/** Short words of random letters, and the share of them that a model answers rightly: what recipes of rewards share. */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as Env from "@effect-tinker/cookbook/Env"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import type * as Metrics from "@effect-tinker/cookbook/Metrics"
import type * as Rl from "@effect-tinker/cookbook/Rl"
import * as Supervised from "@effect-tinker/cookbook/Supervised"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Options } from "./recipe.ts"

export interface Task {
  readonly prompt: string
  readonly answer: string
}

const alphabet = "abcdefghijklmnopqrstuvwxyz"

const word = Effect.map(Effect.replicateEffect(Random.nextIntBetween(0, alphabet.length), 3), (letters) =>
  letters.map((i) => alphabet[i]!).join("")
)

/** So many words with what is to be written behind each. Random numbers of a name are equal in each run. */
export const tasks = (name: string, count: number, answerOf: (word: string) => string) =>
  Effect.replicateEffect(word, count).pipe(
    Effect.map((words) => words.map((word): Task => ({ prompt: `${word} ->`, answer: ` ${answerOf(word)}` }))),
    Effect.withRandom(Random.make(name))
  )

/** Verbs with their past tenses: those that a model is shown, and some that it is not. */
export const verbs = Effect.fnUntraced(function* ({ data, full }: Pick<Options, "data" | "full">) {
  const records = yield* Dataset.read(Dataset.PromptCompletion, data)
  const tasksOf = (all: ReadonlyArray<Dataset.PromptCompletion>) =>
    all.map(({ completion, prompt }): Task => ({ prompt, answer: ` ${completion.trim()}` }))
  return {
    shown: tasksOf(records.filter(({ split }) => split !== "test")),
    held: tasksOf(records.filter(({ split }) => split === "test").slice(0, full ? 128 : 48))
  }
})

/** The same texts, to be copied. */
export const copies = (all: ReadonlyArray<Task>): ReadonlyArray<Task> =>
  all.map(({ prompt }) => ({ prompt, answer: ` ${prompt.replace(" ->", "")}` }))

/** What only a teacher reads: from these it sees that texts are to be copied. */
export const copyExamples = "cat -> cat\nbook -> book\ntree -> tree\nhouse -> house\nriver -> river\nlamp -> lamp\n"

/** The share of answers, sampled at the temperature 1, that are exact. */
export const sampledExactly = Effect.fnUntraced(function* (
  sampling: SamplingClient.SamplingClient,
  held: ReadonlyArray<Task>,
  samples = 4
) {
  const base = yield* BaseModel.BaseModel
  const right = yield* Effect.forEach(
    held,
    ({ answer, prompt }, i) =>
      Effect.map(
        sampling.sample(ModelInput.fromTokens(base.encode(prompt)), {
          num_samples: samples,
          sampling_params: { max_tokens: 16, temperature: 1, stop: "\n", seed: 1000 + i }
        }),
        ({ sequences }) => sequences.filter(({ tokens }) => base.decode(tokens) === `${answer}\n`).length / samples
      ),
    { concurrency: "unbounded" }
  )
  return right.reduce((sum, value) => sum + value, 0) / held.length
})

/** Problems whose answer must be exact, 16 answers each. */
export const problems = (base: BaseModel.Service, all: ReadonlyArray<Task>) =>
  all.map(({ answer, prompt }) =>
    Env.problem({
      prompt: base.encode(prompt),
      stop: "\n",
      size: 16,
      decode: base.decode,
      formPenalty: 0,
      grade: ({ ended, text }) => (ended && text === answer ? 1 : 0)
    })
  )

/** A problem without a reward of its own, so many answers: a teacher judges them. */
export const unrewarded = (base: BaseModel.Service, { prompt }: Task, size: number) =>
  Env.problem({
    prompt: base.encode(prompt),
    stop: "\n",
    size,
    decode: base.decode,
    formPenalty: 0,
    grade: () => 0
  })

/** A model that was shown some answers first: reward needs something to reward. Succeeds with the path of its state. */
export const warmUp = Effect.fnUntraced(function* (
  shown: ReadonlyArray<Task>,
  {
    learningRate = 5e-3,
    seed,
    steps
  }: { readonly steps: number; readonly seed: number; readonly learningRate?: number }
) {
  const base = yield* BaseModel.BaseModel
  const examples = shown.map(({ answer, prompt }) =>
    Datum.fromPromptCompletion(base.encode(prompt), base.encode(`${answer}\n`))
  )
  const { checkpoint } = yield* Supervised.run({
    model: { base_model: base.name, rank: 16, seed },
    batches: Batches.make(examples, { size: 16, seed }),
    steps,
    learningRate: LearningRate.linear(learningRate),
    checkpoints: { name: "warm" }
  })
  return { base_model: base.name, weights: checkpoint!.state_path!, sampler: checkpoint!.sampler_path! }
})

/** The settings that all recipes of rewards share: 16 problems a step, a token sum, groups without spread dropped. */
export const settings = {
  learningRate: LearningRate.constant(2e-3),
  rollouts: { sampling: { max_tokens: 16, temperature: 1 } },
  checkpoints: { final: false },
  agreement: 1e-4
} satisfies Partial<Rl.Options>

/** The largest |k1| of sampler against trainer, which a recipe asserts. */
export const divergence = (rows: ReadonlyArray<Metrics.Row>): number =>
  Math.max(...rows.map((row) => Math.abs(Number(row["optim/kl_sample_train_v1"] ?? 0))))
