/**
 * Teaches a model the past tense of English verbs, and shows that it learned: its completions and their exact match on
 * held-out verbs, before and after training.
 *
 * The program does not choose the service. The layer that provides `ServiceClient` does; see main.ts.
 */
import type * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Backend from "@effect-tinker/cookbook/Backend"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as FineTune from "@effect-tinker/cookbook/FineTune"
import * as Progress from "@effect-tinker/cookbook/Progress"
import * as Timings from "@effect-tinker/cookbook/Timings"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"

export interface Options {
  /** the data, a JSON Lines file */
  readonly data: string
  readonly steps: number
  readonly batchSize: number
  readonly rank: number
  /** learning rate at the first step; it decays linearly to 0 */
  readonly learningRate: number
  readonly seed: number
  /** number of held-out prompts to complete; all of them by default */
  readonly heldOut?: number | undefined
}

export const defaults: Omit<Options, "data"> = { steps: 128, batchSize: 16, rank: 16, learningRate: 5e-3, seed: 0 }

type Example = Datum.For<"cross_entropy">

/** The number of held-out prompts to print. */
const printed = 8

const shorten = (text: string): string => JSON.stringify(text.length > 24 ? `${text.slice(0, 24)}…` : text)

const tokensOf = (batch: ReadonlyArray<Example>): number =>
  batch.reduce((sum, datum) => sum + datum.loss_fn_inputs.target_tokens.data.length, 0)

/** Reads the data. Succeeds with the training examples and the held-out records. */
const readData = Effect.fnUntraced(function* (options: Options) {
  const base = yield* BaseModel.BaseModel
  const records = yield* Dataset.read(Dataset.PromptCompletion, options.data)
  return {
    examples: records.filter(({ split }) => split !== "test").map((record) => Dataset.toDatum(record, base.encode)),
    heldOut: records.filter(({ split }) => split === "test").slice(0, options.heldOut)
  }
})

/** Completes all prompts. They are submitted at once, and the service samples them in parallel. */
const completeAll = Effect.fnUntraced(function* (
  sampling: SamplingClient.SamplingClient,
  records: ReadonlyArray<Dataset.PromptCompletion>
) {
  const base = yield* BaseModel.BaseModel
  const timings = yield* Timings.Timings
  const complete = (prompt: string) =>
    Effect.map(
      sampling.sample(ModelInput.fromTokens(base.encode(prompt)), {
        sampling_params: { max_tokens: 24, temperature: 0, stop: "\n" }
      }),
      ({ sequences }) =>
        base
          .decode(sequences[0]?.tokens ?? [])
          .split("\n")[0]!
          .trim()
    )
  return yield* Effect.forEach(records, ({ prompt }) => complete(prompt), { concurrency: "unbounded" }).pipe(
    timings.time("sample")
  )
})

/** Submits the two operations of a step, which is counted from 0. */
const submitStep = Effect.fnUntraced(function* (
  training: TrainingClient.TrainingClient,
  batches: Batches.Batches<Example>,
  options: Options,
  step: number
) {
  const batch = yield* batches.at(step)
  const forward = yield* training.forwardBackward(batch, "cross_entropy")
  const update = yield* training.optimStep({ learning_rate: options.learningRate * (1 - step / options.steps) })
  return { batch, forward, update }
})

/** Trains. Succeeds with the loss per token of each step, where the service reports it. */
const train = Effect.fnUntraced(function* (
  training: TrainingClient.TrainingClient,
  examples: ReadonlyArray<Example>,
  options: Options
) {
  const progress = yield* Progress.Progress
  const timings = yield* Timings.Timings
  const batches = Batches.make(examples, { size: options.batchSize, seed: options.seed })
  return yield* progress.run(options.steps, (run) =>
    Effect.gen(function* () {
      const losses: Array<number | undefined> = []
      let next = yield* submitStep(training, batches, options, 0)
      for (let step = 1; step <= options.steps; step++) {
        const { batch, forward, update } = next
        // submits the next step before it awaits this one
        if (step < options.steps) next = yield* submitStep(training, batches, options, step)
        const output = yield* Fiber.join(forward).pipe(timings.time("forward_backward"))
        yield* Fiber.join(update).pipe(timings.time("optim_step"))
        const lossPerToken = FineTune.lossPerToken(output, batch)
        losses.push(lossPerToken)
        yield* run.step({ lossPerToken, tokens: tokensOf(batch) })
      }
      return losses
    })
  )
})

/** The share of completions that are exactly right. */
const exactMatch = (records: ReadonlyArray<Dataset.PromptCompletion>, completions: ReadonlyArray<string>): number =>
  records.filter(({ completion }, i) => completions[i] === completion.trim()).length / Math.max(1, records.length)

/** Prints some completions, before and after training. */
const printCompletions = Effect.fnUntraced(function* (
  records: ReadonlyArray<Dataset.PromptCompletion>,
  before: ReadonlyArray<string>,
  after: ReadonlyArray<string>
) {
  const rows = records.slice(0, printed)
  const heading = "held-out prompt"
  const width = Math.max(heading.length, ...rows.map(({ prompt }) => prompt.length))
  yield* Console.log(`\n${heading.padEnd(width)}  ${"before".padEnd(28)}after`)
  for (const [i, { prompt, completion }] of rows.entries()) {
    const mark = after[i] === completion.trim() ? "✓" : `✗ ${completion.trim()}`
    yield* Console.log(`${prompt.padEnd(width)}  ${shorten(before[i]!).padEnd(28)}${shorten(after[i]!)} ${mark}`)
  }
})

const percent = (value: number) => `${(value * 100).toFixed(1)} %`

export const program = (options: Options) =>
  Effect.gen(function* () {
    const backend = yield* Backend.Backend
    const base = yield* BaseModel.BaseModel
    const timings = yield* Timings.Timings
    const service = yield* ServiceClient.ServiceClient
    const { examples, heldOut } = yield* readData(options)
    yield* Console.log(
      `${base.name} on ${backend.description}: ${examples.length} verbs to train on, ${heldOut.length} held out\n`
    )

    const training = yield* service
      .createLoraTrainingClient({ base_model: base.name, rank: options.rank, seed: options.seed })
      .pipe(timings.time("model creation"))
    const untrained = yield* service.createSamplingClient({ base_model: base.name })
    const completedBefore = yield* completeAll(untrained, heldOut)
    const losses = yield* train(training, examples, options)
    const { path } = yield* training
      .saveWeightsForSampler("past-tense")
      .pipe(Effect.flatMap(Fiber.join), timings.time("save"))
    const trained = yield* service.createSamplingClient({ model_path: path })
    const completedAfter = yield* completeAll(trained, heldOut)

    const before = exactMatch(heldOut, completedBefore)
    const after = exactMatch(heldOut, completedAfter)
    yield* printCompletions(heldOut, completedBefore, completedAfter)
    yield* Console.log(
      `\nexact match on ${heldOut.length} held-out verbs: ${percent(before)} before, ${percent(after)} after`
    )
    yield* Console.log(`weights: ${path}`)
    const directory = backend.directoryOf(path)
    if (Option.isSome(directory)) yield* Console.log(`         ${directory.value}`)
    yield* Console.log(`\ntime that the program waited for each operation\n${yield* Timings.table(timings)}`)
    return { before, after, losses, path }
  }).pipe(Effect.scoped)
