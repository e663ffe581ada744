/**
 * What a pass with the loss `cross_entropy` says of a batch: its negative log-likelihood per token, and its bits per byte.
 *
 * @since 0.1.0
 */
import type * as Datum from "@effect-tinker/api/Datum"
import * as Training from "@effect-tinker/api/Training"
import * as Option from "effect/Option"
import * as bytes from "./internal/nll/bitsPerByte.ts"

/**
 * A datum to train on with `cross_entropy`.
 *
 * @since 0.1.0
 * @category models
 */
export type Example = Datum.For<"cross_entropy">

/**
 * The part of a tokenizer that counts bytes.
 *
 * @since 0.1.0
 * @category models
 */
export type Decoder = bytes.Decoder

/**
 * The sum of the weights of all target tokens.
 *
 * @since 0.1.0
 * @category getters
 */
export const weightOf = (examples: ReadonlyArray<Example>): number => {
  let sum = 0
  for (const { loss_fn_inputs } of examples) for (const weight of loss_fn_inputs.weights.data) sum += Number(weight)
  return sum
}

/**
 * The number of positions that a pass over the examples computes, with weight or without.
 *
 * @since 0.1.0
 * @category getters
 */
export const tokensOf = (examples: ReadonlyArray<Example>): number =>
  examples.reduce(
    (sum, { loss_fn_inputs: { target_tokens } }) => sum + (target_tokens.shape?.[0] ?? target_tokens.data.length),
    0
  )

/**
 * The number of target tokens with a weight above 0, however large their weights are.
 *
 * @since 0.1.0
 * @category getters
 */
export const trainedTokensOf = (examples: ReadonlyArray<Example>): number => {
  let count = 0
  for (const { loss_fn_inputs } of examples)
    for (const weight of loss_fn_inputs.weights.data) if (Number(weight) > 0) count++
  return count
}

/**
 * The negative log-likelihood per token, in nats: `-Σ weight · logprob / Σ weight`. `undefined` if no token has weight, or
 * the output has nothing that it follows from (`Training.lossSum`).
 *
 * @since 0.1.0
 * @category getters
 */
export const mean = (output: Training.ForwardBackwardOutput, examples: ReadonlyArray<Example>): number | undefined => {
  const weight = weightOf(examples)
  return weight === 0
    ? undefined
    : Option.getOrUndefined(Option.map(Training.lossSum(output, examples, "cross_entropy"), (loss) => loss / weight))
}

/**
 * The bits per byte: `-Σ logprob / (ln 2 · bytes)`, over the targets that have weight and are not special tokens. The
 * weights only select. `bytes` are those of the text of each run of selected tokens, in UTF-8, so that models with
 * different vocabularies compare. `undefined` if nothing is selected, or the output has no logprobs.
 *
 * @since 0.1.0
 * @category getters
 */
export const bitsPerByte: (
  output: Training.ForwardBackwardOutput,
  examples: ReadonlyArray<Example>,
  decoder: Decoder
) => number | undefined = bytes.bitsPerByte
