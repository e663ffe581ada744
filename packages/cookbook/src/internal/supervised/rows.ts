/** The row of a step. */
import type * as Training from "@effect-tinker/api/Training"
import * as Effect from "effect/Effect"
import * as Cost from "../../Cost.ts"
import * as Nll from "../../Nll.ts"
import { finite, type Row } from "../metrics/row.ts"
import type { Options, Values } from "./options.ts"
import type { Finished } from "./submit.ts"

/** What services call the norm of the gradient before clipping. */
const gradientNames = /^(.*[/.])?(unclipped_)?grad(ient)?_(l2|norm)(:\w+)?$/

const gradientNorm = (metrics: { readonly [name: string]: number }): number | undefined => {
  const name = Object.keys(metrics).find((name) => gradientNames.test(name))
  return name === undefined ? undefined : metrics[name]
}

/** Warnings that are given once a run. @internal */
export interface Warned {
  loss: boolean
  gradient: boolean
}

/** Says, once, that a loss is not known, and why. @internal */
export const warnOfLoss = (warned: Warned, what: string, { metrics }: Training.ForwardBackwardOutput) =>
  Effect.suspend(() => {
    if (warned.loss) return Effect.void
    warned.loss = true
    return Effect.logWarning(
      metrics["loss:sum"] === undefined
        ? `the loss of ${what} is not known: the service reports no loss:sum, elementwise_loss or logprobs`
        : `the loss of ${what} is not a finite number: lower the learning rate if the run has diverged`
    )
  })

/** Numbers that a row can hold: those that are not known are `null`. @internal */
export const valuesOf = (values: Values): { readonly [name: string]: number | null } =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, finite(value)]))

/** @internal */
export const epochOf = (step: number, stepsPerEpoch: number | undefined): number =>
  stepsPerEpoch === undefined || !(stepsPerEpoch > 0) ? 0 : Math.floor(step / stepsPerEpoch)

/** What a custom loss reports: its value, and metrics, whose names have no suffix for a reduction. */
const customValues = ({ metrics }: Training.ForwardBackwardOutput): { readonly [name: string]: number | null } => ({
  ...valuesOf(Object.fromEntries(Object.entries(metrics).filter(([name]) => !name.includes(":")))),
  train_loss: finite(metrics["loss:sum"])
})

/** The row of a step without its times. @internal */
export const rowOf = Effect.fnUntraced(function* <E, R>(
  options: Options<E, R>,
  { batch, learningRate, output, step, update, values }: Finished,
  tokensBefore: number,
  warned: Warned
) {
  const loss = options.loss === undefined ? Nll.mean(output, batch) : output.metrics["loss:sum"]
  if (loss === undefined) yield* warnOfLoss(warned, `step ${step}`, output)
  const reported = update.metrics ?? {}
  const norm = options.gradientNorm === true ? gradientNorm(reported) : undefined
  if (options.gradientNorm === true && norm === undefined && !warned.gradient) {
    warned.gradient = true
    yield* Effect.logWarning("the norm of the gradient is not known: the service reports none")
  }
  const trained = Nll.tokensOf(batch)
  const row: Row = {
    ...valuesOf(reported),
    ...valuesOf(values),
    step,
    epoch: epochOf(step, options.batches.stepsPerEpoch),
    progress: Math.min((step + 1) / options.steps, 1),
    learning_rate: learningRate,
    num_sequences: batch.length,
    num_tokens: trained,
    num_loss_tokens: Nll.trainedTokensOf(batch),
    ...(options.loss === undefined ? { train_mean_nll: finite(loss) } : customValues(output)),
    ...(options.decoder === undefined
      ? {}
      : { train_mean_bpb: finite(Nll.bitsPerByte(output, batch, options.decoder)) }),
    ...(options.gradientNorm === true ? { grad_norm: finite(norm) } : {}),
    ...Cost.rows({ trained }, { trained: tokensBefore + trained }, options.prices)
  }
  return row
})
