/**
 * Teaches a model the past tense of English verbs, and shows what it learned: its answers and their exact match on held-out
 * verbs, before and after.
 *
 * The program does not say where it runs: the layer that is provided to it decides.
 */
import type * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Backend from "@effect-tinker/cookbook/Backend"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as Progress from "@effect-tinker/cookbook/Progress"
import * as Timings from "@effect-tinker/cookbook/Timings"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"

export interface Options {
  /** path of the data, in JSON Lines */
  readonly data: string
  readonly steps: number
  readonly batchSize: number
  readonly rank: number
  /** at the first step; it decreases linearly to 0 */
  readonly learningRate: number
  readonly seed: number
  /** number of held-out prompts to evaluate; all by default */
  readonly heldOut?: number | undefined
}

export const defaults: Omit<Options, "data"> = { steps: 128, batchSize: 16, rank: 16, learningRate: 5e-3, seed: 0 }

/** Held-out prompts whose answers are shown. */
const shown = 8

const shorten = (text: string): string => JSON.stringify(text.length > 24 ? `${text.slice(0, 24)}…` : text)

const tokensOf = (batch: ReadonlyArray<Datum.For<"cross_entropy">>): number =>
  batch.reduce((sum, datum) => sum + datum.loss_fn_inputs.target_tokens.data.length, 0)

/** Prompt tokens have weight 0, so this is the number of completion tokens. */
const weightOf = (batch: ReadonlyArray<Datum.For<"cross_entropy">>): number =>
  batch.reduce(
    (sum, { loss_fn_inputs: { weights } }) => sum + Array.from(weights.data, Number).reduce((a, b) => a + b),
    0
  )

export const program = (options: Options) =>
  Effect.gen(function* () {
    const backend = yield* Backend.Backend
    const base = yield* BaseModel.BaseModel
    const progress = yield* Progress.Progress
    const timings = yield* Timings.Timings
    const service = yield* ServiceClient.ServiceClient

    const records = yield* Dataset.read(Dataset.PromptCompletion, options.data)
    const datums = records.filter(({ split }) => split !== "test").map((record) => Dataset.toDatum(record, base.encode))
    const heldOut = records.filter(({ split }) => split === "test").slice(0, options.heldOut)
    const batches = Batches.make(datums, { size: options.batchSize, seed: options.seed })
    yield* Console.log(
      `${base.name} on ${backend.description}: ${datums.length} verbs to train on, ${heldOut.length} held out\n`
    )

    const training = yield* service
      .createLoraTrainingClient({ base_model: base.name, rank: options.rank, seed: options.seed })
      .pipe(timings.time("model creation"))

    // all prompts at once: the service samples them concurrently
    const answer = (sampling: SamplingClient.SamplingClient) =>
      Effect.forEach(
        heldOut,
        ({ prompt }) =>
          sampling
            .sample(ModelInput.fromTokens(base.encode(prompt)), {
              sampling_params: { max_tokens: 24, temperature: 0, stop: "\n" }
            })
            .pipe(
              Effect.map(({ sequences }) =>
                base
                  .decode(sequences[0]?.tokens ?? [])
                  .split("\n")[0]!
                  .trim()
              )
            ),
        { concurrency: "unbounded" }
      ).pipe(timings.time("sample"))

    const untrained = yield* service.createSamplingClient({ base_model: base.name }).pipe(Effect.flatMap(answer))

    const submit = Effect.fnUntraced(function* (step: number) {
      const batch = yield* batches.at(step)
      const forward = yield* training.forwardBackward(batch, "cross_entropy")
      const update = yield* training.optimStep({ learning_rate: options.learningRate * (1 - step / options.steps) })
      return { batch, forward, update }
    })

    const losses = yield* progress.run(options.steps, (run) =>
      Effect.gen(function* () {
        const losses: Array<number> = []
        let next = yield* submit(0)
        for (let step = 1; step <= options.steps; step++) {
          const { batch, forward, update } = next
          // the next step is submitted before this one is awaited
          if (step < options.steps) next = yield* submit(step)
          const output = yield* Fiber.join(forward).pipe(timings.time("forward_backward"))
          yield* Fiber.join(update).pipe(timings.time("optim_step"))
          const lossPerToken = (output.metrics["loss:sum"] ?? Number.NaN) / weightOf(batch)
          losses.push(lossPerToken)
          yield* run.step({ lossPerToken, tokens: tokensOf(batch) })
        }
        return losses
      })
    )

    const { path } = yield* training
      .saveWeightsForSampler("past-tense")
      .pipe(Effect.flatMap(Fiber.join), timings.time("save"))
    const trained = yield* service.createSamplingClient({ model_path: path }).pipe(Effect.flatMap(answer))

    const share = (answers: ReadonlyArray<string>): number =>
      heldOut.filter(({ completion }, i) => answers[i] === completion.trim()).length / Math.max(1, heldOut.length)
    const before = share(untrained)
    const after = share(trained)

    const width = Math.max(...heldOut.slice(0, shown).map(({ prompt }) => prompt.length), 0)
    const column = (text: string) => shorten(text).padEnd(28)
    yield* Console.log(`\n${"held-out prompt".padEnd(width)}  ${"before".padEnd(28)}after`)
    for (const [i, { prompt, completion }] of heldOut.slice(0, shown).entries()) {
      const mark = trained[i] === completion.trim() ? "✓" : `✗ ${completion.trim()}`
      yield* Console.log(`${prompt.padEnd(width)}  ${column(untrained[i]!)}${shorten(trained[i]!)} ${mark}`)
    }
    const percent = (value: number) => `${(value * 100).toFixed(1)} %`
    yield* Console.log(
      `\nexact match on ${heldOut.length} held-out verbs: ${percent(before)} before, ${percent(after)} after`
    )
    yield* Console.log(`weights: ${path}`)
    const directory = backend.directoryOf(path)
    if (Option.isSome(directory)) yield* Console.log(`         ${directory.value}`)
    yield* Console.log(`\nwhere the time went, as the program waited for it\n${yield* Timings.table(timings)}`)
    return { before, after, losses, path }
  }).pipe(Effect.scoped)
