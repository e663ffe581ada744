/**
 * Teaches a model the past tense of English verbs, and shows that it learned: its completions and their exact match on
 * held-out verbs, before and after training.
 *
 * The program does not choose the service. The layer that provides `ServiceClient` does; see main.ts.
 */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Backend from "@effect-tinker/cookbook/Backend"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import type * as Nll from "@effect-tinker/cookbook/Nll"
import * as Supervised from "@effect-tinker/cookbook/Supervised"
import * as Timings from "@effect-tinker/cookbook/Timings"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
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

/** The number of held-out prompts to print. */
const printed = 8

const shorten = (text: string): string => JSON.stringify(text.length > 24 ? `${text.slice(0, 24)}…` : text)

/** Reads the data. Succeeds with the training examples and the held-out records. */
export const readData = Effect.fnUntraced(function* (options: Options) {
  const base = yield* BaseModel.BaseModel
  const records = yield* Dataset.read(Dataset.PromptCompletion, options.data)
  return {
    examples: records.filter(({ split }) => split !== "test").map((record) => Dataset.toDatum(record, base.encode)),
    heldOut: records.filter(({ split }) => split === "test").slice(0, options.heldOut)
  }
})

/** Completes all prompts, greedily. They are submitted at once, and the service samples them in parallel. */
export const completeAll = Effect.fnUntraced(function* (
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

/** Trains an adapter, and saves its weights. */
const train = (examples: ReadonlyArray<Nll.Example>, model: string, options: Options) =>
  Supervised.run({
    model: { base_model: model, rank: options.rank, seed: options.seed },
    batches: Batches.make(examples, { size: options.batchSize, seed: options.seed }),
    steps: options.steps,
    learningRate: LearningRate.linear(options.learningRate),
    checkpoints: { name: "past-tense" }
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

    const untrained = yield* service.createSamplingClient({ base_model: base.name })
    const completedBefore = yield* completeAll(untrained, heldOut)
    const { checkpoint, rows } = yield* train(examples, base.name, options).pipe(timings.time("train"))
    const path = checkpoint!.sampler_path!
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
    yield* Console.log(`\nwhere the time went\n${yield* Timings.table(timings)}`)
    const losses = rows.map(({ train_mean_nll }) => train_mean_nll)
    return { before, after, heldOut, completedBefore, completedAfter, losses, path }
  }).pipe(Effect.scoped)
