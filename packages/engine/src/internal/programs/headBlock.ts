/** The programs of the unembedding on a block of positions: logits, the scores of targets, and their gradient. */
import { valueAndGrad } from "@jax-js/jax"
import type { ModelConfig } from "../../ModelConfig.ts"
import type { Program, QuantizedWeights, Traced } from "../executors/executor.ts"
import * as architecture from "../model/architecture.ts"
import { finalNorm, loraProjection, type TracedInputs } from "../model/transformer.ts"
import { manyRows, markersFor, rowsClass, typicalRank } from "./families.ts"
import {
  adapterSpecs,
  disposeAll,
  float32,
  type InputSpecs,
  int32,
  programKey,
  rowAdapterSpecs,
  splitInputs
} from "./inputs.ts"
import { lossGradInputs, scoreTargets, surrogateLoss, type TargetScores } from "./targets.ts"

/** The shape of a block: `targets` target tokens at each of its positions. */
interface HeadShape {
  readonly block: number
  readonly targets: number
  /** the rank of the adapter of the unembedding, or 0 without one */
  readonly rank: number
}

const weightSpecs = (config: ModelConfig): InputSpecs => ({
  "model.norm.weight": float32(config.hidden_size),
  [architecture.unembedding(config)]: float32(config.vocab_size, config.hidden_size)
})

/**
 * The logits of a block of positions.
 *
 * Inputs besides the weights: `x` (block, hidden_size), the output of the last layer; with adapters of the unembedding,
 * whose ranks are `rank` in all, their matrices and `scaling` (block, rank). Output: logits (block, vocab_size).
 *
 * @internal
 */
export const headLogits = (
  config: ModelConfig,
  block: number,
  rank: number,
  deterministic = false,
  quantized?: QuantizedWeights
): Program => {
  const [marker, second] = markersFor(config)
  const rounds = deterministic || quantized !== undefined
  const own = [...(rank === 0 ? [] : ["adapted"]), ...(quantized === undefined ? [] : [quantized.key])]
  const genericKey = programKey("head_logits", config, rowsClass(block, rounds), ...own)
  const key = programKey("head_logits", config, block, rank, ...own)
  return {
    ...headLogitsOf(config, block, rank, key),
    quantized,
    family: {
      generic: { ...headLogitsOf(config, marker, rank === 0 ? 0 : second, genericKey), quantized },
      sizes: [
        { marker, size: block, typical: rounds ? manyRows : undefined },
        ...(rank === 0 ? [] : [{ marker: second, size: rank, typical: typicalRank }])
      ]
    }
  }
}

const headLogitsOf = (config: ModelConfig, block: number, rank: number, key: string): Program => ({
  key,
  inputs: {
    ...weightSpecs(config),
    ...rowAdapterSpecs(headLinears(config), { rank, parts: ["unembed"] }, block),
    x: float32(block, config.hidden_size)
  },
  trace: (inputs) => {
    const logits = loraProjection(config, inputs, inputs)(finalNorm(config, inputs, inputs["x"]!.ref), "lm_head")
    disposeAll(inputs)
    return [logits]
  }
})

const headLinears = (config: ModelConfig) => architecture.linears(config).filter(({ part }) => part === "unembed")

const headAdapter = (config: ModelConfig, rank: number): InputSpecs =>
  adapterSpecs(rank === 0 ? [] : headLinears(config), rank)

const scoreSpecs = (config: ModelConfig, { block, rank, targets }: HeadShape): InputSpecs => ({
  ...weightSpecs(config),
  ...headAdapter(config, rank),
  ...(rank === 0 ? {} : { scaling: float32() }),
  x: float32(block, config.hidden_size),
  token_ids: int32(config.vocab_size),
  targets: int32(block, targets)
})

const traceScores = (
  config: ModelConfig,
  targets: number,
  inputs: TracedInputs,
  adapted: TracedInputs
): TargetScores => {
  const project = loraProjection(config, inputs, adapted)
  return scoreTargets(config, inputs, project(finalNorm(config, inputs, adapted["x"]!.ref), "lm_head"), targets)
}

/**
 * The scores of the targets of a block.
 *
 * Inputs besides the weights and the adapter of the unembedding: `x` (block, hidden_size), the output of the last
 * layer; `token_ids` (vocab_size), 0, 1, 2 …; `targets` (block, targets); with an adapter `scaling`. Outputs: the
 * `TargetScores`.
 *
 * @internal
 */
export const headScores = (config: ModelConfig, shape: HeadShape): Program => ({
  key: programKey("head_scores", config, shape.block, shape.targets, shape.rank),
  inputs: scoreSpecs(config, shape),
  trace: (inputs) => {
    const { shifted, sumExp } = traceScores(config, shape.targets, inputs, inputs)
    disposeAll(inputs)
    return [shifted, sumExp]
  }
})

/**
 * The scores of the targets of a block, and the gradient of the loss.
 *
 * Inputs: those of `headScores`, and the `lossGradInputs` (block, targets). Outputs: the `TargetScores`, the gradient of
 * `x`, and those of the adapter, A before B.
 *
 * @internal
 */
export const headGradient = (config: ModelConfig, shape: HeadShape): Program => {
  const names = ["x", ...Object.keys(headAdapter(config, shape.rank))]
  const loss = (adapted: TracedInputs, inputs: TracedInputs): [Traced, Array<Traced>] => {
    const result = surrogateLoss(inputs, traceScores(config, shape.targets, inputs, adapted))
    disposeAll(inputs)
    disposeAll(adapted)
    return result
  }
  return {
    key: programKey("head_gradient", config, shape.block, shape.targets, shape.rank),
    inputs: {
      ...scoreSpecs(config, shape),
      ...Object.fromEntries(lossGradInputs.map((name) => [name, float32(shape.block, shape.targets)]))
    },
    trace: (all) => {
      const { chosen, inputs } = splitInputs(all, names)
      const [[value, outputs], gradients] = valueAndGrad(loss, { hasAux: true })(chosen, inputs)
      value.dispose()
      return [...outputs, ...names.map((name) => gradients[name]!)]
    }
  }
}
