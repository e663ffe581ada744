/** The scores of target tokens by their logits, and the loss whose gradient is that of every loss function. */
import { lax, numpy as np } from "@jax-js/jax"
import type { ModelConfig } from "../../ModelConfig.ts"
import type { Traced } from "../executors/executor.ts"
import type { TracedInputs } from "../model/transformer.ts"

/** The inputs (N, targets) that define the derivative of the loss; `training/lossGrad.ts` has the formula. @internal */
export const lossGradInputs = ["constant", "clipped", "gated", "quadratic", "low", "high", "old_logprobs"] as const

/** The derivative of the loss with respect to each target logprob. @internal */
export const lossGrad = (inputs: TracedInputs, logprobs: Traced): Traced => {
  const input = (name: (typeof lossGradInputs)[number]) => inputs[name]!.ref
  const difference = logprobs.sub(input("old_logprobs"))
  const ratio = np.exp(difference.ref)
  const clipped = np.minimum(np.maximum(ratio.ref, input("low")), input("high"))
  const within = np.where(ratio.ref.equal(clipped.ref), ratio, 0)
  return input("constant")
    .add(clipped.mul(input("clipped")))
    .add(within.mul(input("gated")))
    .add(difference.mul(input("quadratic")))
}

/**
 * Logits of the targets less the largest logit of the position (N, targets), and the sum of exponentials (N).
 *
 * @internal
 */
export interface TargetScores {
  readonly shifted: Traced
  readonly sumExp: Traced
}

/** Scores the targets by logits (N, vocab_size) and the inputs `targets` (N, targets) and `token_ids`. @internal */
export const scoreTargets = (
  config: ModelConfig,
  inputs: TracedInputs,
  logits: Traced,
  targets: number
): TargetScores => {
  const n = logits.shape[0]!
  const max = lax.stopGradient(logits.ref.max(-1, { keepdims: true }))
  const shifted = logits.sub(max)
  const sumExp = np.exp(shifted.ref).sum(-1)
  const isTarget = isTargetOf(inputs, n, targets, config.vocab_size)
  return { shifted: np.where(isTarget, shifted.reshape([n, 1, config.vocab_size]), 0).sum(-1), sumExp }
}

/** Whether each of the inputs `token_ids` is a target of each position (N, targets, entries). @internal */
export const isTargetOf = (inputs: TracedInputs, n: number, targets: number, entries: number): Traced =>
  inputs["token_ids"]!.ref.reshape([1, 1, entries]).equal(inputs["targets"]!.ref.reshape([n, targets, 1]))

/**
 * Traces `sum(lossGrad * logprob)` with lossGrad held fixed. Its gradient is that of the loss, so one program serves
 * all losses. Also returns the scores.
 *
 * @internal
 */
export const surrogateLoss = (inputs: TracedInputs, { shifted, sumExp }: TargetScores): [Traced, Array<Traced>] => {
  const logprobs = shifted.ref.sub(np.log(sumExp.ref).reshape([sumExp.shape[0]!, 1]))
  const grad = lossGrad(inputs, lax.stopGradient(logprobs.ref))
  const value = logprobs.mul(lax.stopGradient(grad)).sum()
  return [value, [lax.stopGradient(shifted), lax.stopGradient(sumExp)]]
}
