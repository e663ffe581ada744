/**
 * The programs of a part of the unembedding, some entries of the vocabulary, on a block of positions: where the weights
 * are in 16 bits, one part after the other is widened.
 */
import { lax, numpy as np, valueAndGrad } from "@jax-js/jax"
import type { ModelConfig } from "../../ModelConfig.ts"
import type { Program, Traced } from "../executors/executor.ts"
import * as architecture from "../model/architecture.ts"
import { finalNorm, loraProjection, type TracedInputs } from "../model/transformer.ts"
import { disposeAll, float32, type InputSpecs, int32, programKey, splitInputs } from "./inputs.ts"
import { isTargetOf, lossGrad, lossGradInputs } from "./targets.ts"

/** `entries` of the vocabulary at `block` positions, with `targets` target tokens at each. @internal */
export interface HeadPartShape {
  readonly entries: number
  readonly block: number
  readonly targets: number
  /** the rank of the adapter of the unembedding, or 0 without one */
  readonly rank: number
}

const adapterNames = ({ rank }: HeadPartShape): ReadonlyArray<string> => (rank === 0 ? [] : ["lm_head.A", "lm_head.B"])

const specs = (config: ModelConfig, { block, entries, rank, targets }: HeadPartShape): InputSpecs => ({
  "model.norm.weight": float32(config.hidden_size),
  [architecture.unembedding(config)]: float32(entries, config.hidden_size),
  ...(rank === 0
    ? {}
    : { "lm_head.A": float32(rank, config.hidden_size), "lm_head.B": float32(entries, rank), scaling: float32() }),
  x: float32(block, config.hidden_size),
  token_ids: int32(entries),
  targets: int32(block, targets)
})

const keyOf = (kind: string, config: ModelConfig, { block, entries, rank, targets }: HeadPartShape): string =>
  programKey(kind, config, entries, block, targets, rank)

const traceLogits = (config: ModelConfig, inputs: TracedInputs, adapted: TracedInputs): Traced =>
  loraProjection(config, inputs, adapted)(finalNorm(config, inputs, adapted["x"]!.ref), "lm_head")

/**
 * What a part adds to the scores of targets.
 *
 * Inputs: the norm, and the part of the unembedding and of its adapter; `x` (block, hidden_size), the output of the last
 * layer; `token_ids` (entries); `targets` (block, targets); with an adapter `scaling`.
 *
 * Outputs: the largest logit of the part (block); the sum of exponentials of logits less that (block); the logits of
 * those targets that are in the part, and 0 for the others (block, targets).
 *
 * @internal
 */
export const headPartScores = (config: ModelConfig, shape: HeadPartShape): Program => ({
  key: keyOf("head_part_scores", config, shape),
  inputs: specs(config, shape),
  trace: (inputs) => {
    const { block, entries, targets } = shape
    const logits = traceLogits(config, inputs, inputs)
    const max = logits.ref.max(-1, { keepdims: true })
    const sumExp = np.exp(logits.ref.sub(max.ref)).sum(-1)
    const isTarget = isTargetOf(inputs, block, targets, entries)
    const own = np.where(isTarget, logits.reshape([block, 1, entries]), 0).sum(-1)
    disposeAll(inputs)
    return [max.reshape([block]), sumExp, own]
  }
})

/** The derivative of the loss with respect to each logit of the part (block, entries), by the logprobs of all targets. */
const logitGrad = ({ block, entries, targets }: HeadPartShape, inputs: TracedInputs, logits: Traced): Traced => {
  const grad = lossGrad(inputs, inputs["logprobs"]!.ref)
  const probability = np.exp(logits.sub(inputs["log_sum_exp"]!.ref.reshape([block, 1])))
  const ofTargets = np
    .where(isTargetOf(inputs, block, targets, entries), grad.ref.reshape([block, targets, 1]), 0)
    .sum(1)
  return ofTargets.sub(probability.mul(grad.sum(-1, { keepdims: true })))
}

/**
 * What a part adds to the gradient of the loss.
 *
 * Inputs: those of `headPartScores`; the `lossGradInputs` (block, targets); `logprobs` (block, targets) of the targets, and
 * `log_sum_exp` (block) of all logits. Outputs: the gradient of `x`, and those of the adapter's part, A before B.
 *
 * @internal
 */
export const headPartGradient = (config: ModelConfig, shape: HeadPartShape): Program => {
  const names = ["x", ...adapterNames(shape)]
  const loss = (adapted: TracedInputs, inputs: TracedInputs): Traced => {
    const logits = traceLogits(config, inputs, adapted)
    const grad = logitGrad(shape, inputs, lax.stopGradient(logits.ref))
    disposeAll(inputs)
    disposeAll(adapted)
    return logits.mul(lax.stopGradient(grad)).sum()
  }
  return {
    key: keyOf("head_part_gradient", config, shape),
    inputs: {
      ...specs(config, shape),
      ...Object.fromEntries([...lossGradInputs, "logprobs"].map((name) => [name, float32(shape.block, shape.targets)])),
      log_sum_exp: float32(shape.block)
    },
    trace: (all) => {
      const { chosen, inputs } = splitInputs(all, names)
      const [value, gradients] = valueAndGrad(loss)(chosen, inputs)
      value.dispose()
      return names.map((name) => gradients[name]!)
    }
  }
}
