/** The options of `tinker train`, checked, and the settings of the run that they describe. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Global } from "../definition/global.ts"
import { UsageError } from "../errors/cliError.ts"
import type * as connect from "../service/connect.ts"
import { shippedModel } from "../service/tokenizer.ts"
import type * as metricsFile from "./metricsFile.ts"

/** @internal */
export interface Options extends Global, connect.Options {
  readonly file: string
  readonly model: Option.Option<string>
  readonly rank: number
  readonly learningRate: Option.Option<number>
  readonly batchSize: number
  readonly epochs: number
  readonly steps: Option.Option<number>
  readonly seed: number
  readonly heldOut: number
  readonly saveEvery: number
  readonly name: string
  readonly output: Option.Option<string>
  readonly resume: boolean
}

const atLeast = (name: string, value: number, least: number, isInteger = true) =>
  value >= least && (!isInteger || Number.isInteger(value))
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
  yield* atLeast("save-every", options.saveEvery, 0)
  if (!(options.heldOut >= 0 && options.heldOut < 1)) {
    return yield* new UsageError({
      reason: `--held-out is ${options.heldOut}: give a fraction of 0 or more, below 1`
    })
  }
})

/** The settings of a new run on this many examples. @internal */
export const settingsOf = Effect.fnUntraced(function* (
  options: Options,
  run: { readonly base_model: string; readonly examples: number; readonly heldOut: number }
) {
  const batch_size = Math.min(options.batchSize, run.examples)
  const settings: metricsFile.Settings = {
    base_model: run.base_model,
    rank: options.rank,
    // an adapter on a model of a million parameters needs a far higher rate than one on billions
    learning_rate: Option.getOrElse(options.learningRate, () => (run.base_model === shippedModel ? 5e-3 : 2e-4)),
    batch_size,
    steps: Option.getOrElse(options.steps, () => Math.max(1, Math.ceil((options.epochs * run.examples) / batch_size))),
    seed: options.seed,
    held_out: run.heldOut
  }
  yield* atLeast("steps", settings.steps, 1)
  return settings
})
