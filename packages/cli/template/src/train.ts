/** What this project trains, and what it asks the model afterwards. The service is chosen in main.ts, or by a test. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Supervised from "@effect-tinker/cookbook/Supervised"
import * as Effect from "effect/Effect"

export interface Options {
  readonly steps: number
  /** where the run is recorded; it resumes from there */
  readonly directory?: string | undefined
}

/** Reads the data: lines of {"prompt": …, "completion": …}; those with "split": "test" are held out. */
export const read = Effect.fn("read")(function* (file: string) {
  const records = yield* Dataset.read(Dataset.PromptCompletion, file)
  return {
    train: records.filter(({ split }) => split !== "test"),
    heldOut: records.filter(({ split }) => split === "test")
  }
})

export type Data = Effect.Effect.Success<ReturnType<typeof read>>

/** Trains an adapter on the data. A run with a directory that was interrupted goes on where it was. */
export const train = Effect.fn("train")(function* ({ heldOut, train }: Data, { directory, steps }: Options) {
  const base = yield* BaseModel.BaseModel
  const toDatum = (record: Dataset.PromptCompletion) => Dataset.toDatum(record, base.encode)
  return yield* Supervised.run({
    model: { base_model: base.name, rank: 16, seed: 0 },
    batches: Batches.make(train.map(toDatum), { size: 16, seed: 0 }),
    steps,
    learningRate: LearningRate.linear(5e-3),
    evaluations: heldOut.length === 0 ? [] : [Supervised.heldOut(heldOut.map(toDatum))],
    checkpoints: { every: 20 },
    directory: directory === undefined ? undefined : { path: directory, resume: true }
  })
})

/** Completes a prompt, up to the end of the line. */
export const complete = Effect.fn("complete")(function* (sampling: SamplingClient.SamplingClient, prompt: string) {
  const base = yield* BaseModel.BaseModel
  const { sequences } = yield* sampling.sample(ModelInput.fromTokens(base.encode(prompt)), {
    sampling_params: { max_tokens: 24, temperature: 0, stop: "\n" }
  })
  return base
    .decode(sequences[0]?.tokens ?? [])
    .split("\n")[0]!
    .trim()
})
