/**
 * Exact resume: a run that stops in the middle and goes on has the losses of one that does not, to the bit. One that goes
 * on a step too early, as from a checkpoint that holds more steps than it says, does not.
 */
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Supervised from "@effect-tinker/cookbook/Supervised"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Recipe } from "./recipe.ts"

/** A learning rate at which a step that is repeated shows in the next loss. */
const learningRate = LearningRate.constant(2e-2)

/** Trains, and stops when the batch of the step `stopAt` is read. */
const train = Effect.fnUntraced(function* (
  options: Pick<Supervised.Options, "batches" | "model" | "steps" | "directory">,
  stopAt?: number
) {
  const stop = yield* Deferred.make<void>()
  const batches: Supervised.Source = {
    at: (step) =>
      Effect.tap(options.batches.at(step), () => (step === stopAt ? Deferred.succeed(stop, undefined) : Effect.void))
  }
  return yield* Supervised.run({ ...options, batches, learningRate, stop: Deferred.await(stop) })
})

/** The largest difference between the losses of two runs. */
const difference = (a: Supervised.Result, b: Supervised.Result): number =>
  Math.max(...a.rows.map((row, i) => Math.abs(Number(row["train_mean_nll"]) - Number(b.rows[i]?.["train_mean_nll"]))))

/** Moves the record of the last checkpoint one step back, as if its last step had not happened. */
const breakRecord = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const { batch, ...record } = JSON.parse(yield* fs.readFileString(file))
  yield* fs.writeFileString(file, `${JSON.stringify({ ...record, batch: batch - 1 })}\n`)
})

export const resume: Recipe = {
  name: "resume",
  group: "sft",
  run: ({ data, full, seed }) =>
    Effect.gen(function* () {
      const base = yield* BaseModel.BaseModel
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const records = yield* Dataset.read(Dataset.PromptCompletion, data)
      const examples = records.map((record) => Dataset.toDatum(record, base.encode))
      const options = {
        model: { base_model: base.name, rank: 16, seed },
        batches: Batches.make(examples, { size: 8, seed }),
        steps: full ? 60 : 12
      }
      const whole = yield* train(options)
      const inParts = (
        name: string,
        between: (record: string) => Effect.Effect<void, unknown, FileSystem.FileSystem>
      ) =>
        Effect.gen(function* () {
          const path = `${directory}/${name}`
          yield* train({ ...options, directory: { path } }, Math.floor(options.steps / 2))
          yield* between(`${path}/checkpoints.jsonl`)
          return difference(whole, yield* train({ ...options, directory: { path, resume: true } }))
        })
      const before = yield* inParts("broken", breakRecord)
      const after = yield* inParts("exact", () => Effect.void)
      return {
        before,
        after,
        line: "difference of losses: one step repeated > 0.01, exact = 0",
        passed: before > 0.01 && after === 0
      }
    })
}
