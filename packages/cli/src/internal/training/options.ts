/** The options of `tinker train`, checked, and the settings of the run that they describe. */
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import type * as Renderer from "@effect-tinker/cookbook/Renderer"
import type * as SupervisedExample from "@effect-tinker/cookbook/SupervisedExample"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Global } from "../definition/global.ts"
import { UsageError } from "../errors/cliError.ts"
import type * as connect from "../service/connect.ts"
import { shippedModel } from "../service/tokenizer.ts"

/** @internal */
export interface Options extends Global, connect.Options {
  readonly file: string
  readonly mix: ReadonlyArray<string>
  readonly renderer: Option.Option<string>
  readonly trainOn: Renderer.TrainOn
  readonly maxLength: Option.Option<number>
  readonly tooLong: SupervisedExample.TooLong
  readonly model: Option.Option<string>
  readonly rank: number
  readonly learningRate: Option.Option<number>
  readonly schedule: LearningRate.Schedule["kind"]
  readonly warmUp: number
  readonly batchSize: number
  readonly epochs: number
  readonly steps: Option.Option<number>
  readonly seed: number
  readonly heldOut: number
  readonly evalEvery: number
  readonly saveEvery: number
  readonly name: string
  readonly output: Option.Option<string>
  readonly sampleEvery: number
  readonly samplePrompt: ReadonlyArray<string>
  readonly price: Option.Option<number>
  readonly watch: boolean
  readonly dryRun: boolean
  readonly resume: boolean
}

/** What a run does, as far as it follows from its options and the number of its examples. @internal */
export interface Settings {
  readonly learningRate: LearningRate.Schedule
  readonly batchSize: number
  readonly steps: number
}

const atLeast = (name: string, value: number, least: number, isInteger = true) =>
  value >= least && (!isInteger || Number.isSafeInteger(value))
    ? Effect.void
    : Effect.fail(
        new UsageError({
          reason: `--${name} is ${value}: give ${isInteger ? "an integer" : "a number"} of ${least} or more`
        })
      )

/** @internal */
export const validate = Effect.fnUntraced(function* (options: Options) {
  yield* atLeast("rank", options.rank, 1)
  yield* atLeast("batch-size", options.batchSize, 1)
  yield* atLeast("epochs", options.epochs, 0, false)
  yield* atLeast("warm-up", options.warmUp, 0)
  yield* atLeast("eval-every", options.evalEvery, 0)
  yield* atLeast("save-every", options.saveEvery, 0)
  yield* atLeast("sample-every", options.sampleEvery, 0)
  if (options.sampleEvery > 0 !== options.samplePrompt.length > 0) {
    return yield* new UsageError({ reason: "--sample-every needs --sample-prompt, and the other way round" })
  }
  if (Option.isSome(options.maxLength)) yield* atLeast("max-length", options.maxLength.value, 2)
  if (Option.isSome(options.price)) yield* atLeast("price", options.price.value, 0, false)
  if (Option.isSome(options.learningRate)) yield* atLeast("learning-rate", options.learningRate.value, 0, false)
  if (!(options.heldOut >= 0 && options.heldOut < 1)) {
    return yield* new UsageError({
      reason: `--held-out is ${options.heldOut}: give a fraction of 0 or more, below 1`
    })
  }
})

/** For a model whose learning rate nobody has measured. */
const usualRate = 2e-4

/** The learning rate that is given, or the one for the model. A model without one gets the usual rate, and a warning. */
const peakOf = ({ learningRate }: Options, model: string): Effect.Effect<number> => {
  if (Option.isSome(learningRate)) return Effect.succeed(learningRate.value)
  // an adapter on a model of a million parameters needs a far higher rate than one on billions
  if (model === shippedModel) return Effect.succeed(5e-3)
  return Effect.catchAll(LearningRate.recommended(model), ({ detail }) =>
    Effect.as(
      Effect.logWarning(`no learning rate is known for ${model}: ${detail}. Using ${usualRate}; set --learning-rate`),
      usualRate
    )
  )
}

/** The settings of a run on this many examples. @internal */
export const settingsOf = Effect.fnUntraced(function* (options: Options, model: string, examples: number) {
  const batchSize = Math.min(options.batchSize, examples)
  const settings: Settings = {
    learningRate: { kind: options.schedule, peak: yield* peakOf(options, model), warmUpSteps: options.warmUp },
    batchSize,
    steps: Option.getOrElse(options.steps, () => Math.max(1, Math.ceil((options.epochs * examples) / batchSize)))
  }
  yield* atLeast("steps", settings.steps, 1)
  return settings
})
