/** The program of training: logprobs of target tokens, and gradients of the adapter. */
import { valueAndGrad } from "@jax-js/jax"
import type { ModelConfig } from "../../ModelConfig.ts"
import type { Program, Traced } from "../executors/executor.ts"
import type { Linear } from "../model/architecture.ts"
import { attendWithinRows } from "../model/attention.ts"
import { hiddenStates, loraProjection, type TracedInputs } from "../model/transformer.ts"
import {
  adapterSpecs,
  baseWeightSpecs,
  disposeAll,
  float32,
  type InputSpecs,
  int32,
  programKey,
  ropeSpecs,
  splitInputs
} from "./inputs.ts"
import { lossGradInputs, scoreTargets, surrogateLoss, type TargetScores } from "./targets.ts"

/** The shape of a microbatch: `rows` of `length` positions, with `targets` target tokens at each. */
interface Shape {
  readonly rows: number
  readonly length: number
  readonly targets: number
}

/** Traces the forward pass. */
const forwardPass = (
  config: ModelConfig,
  { length, rows, targets }: Shape,
  inputs: TracedInputs,
  adapter: TracedInputs
): TargetScores => {
  const project = loraProjection(config, inputs, adapter)
  const attend = attendWithinRows(config, rows, length, inputs)
  const hidden = hiddenStates(config, inputs, inputs["x"]!.ref, project, attend)
  return scoreTargets(config, inputs, project(hidden, "lm_head"), targets)
}

const forwardSurrogateLoss =
  (config: ModelConfig, shape: Shape) =>
  (adapter: TracedInputs, inputs: TracedInputs): [Traced, Array<Traced>] => {
    const loss = surrogateLoss(inputs, forwardPass(config, shape, inputs, adapter))
    disposeAll(inputs)
    disposeAll(adapter)
    return loss
  }

const inputSpecs = (config: ModelConfig, { length, rows, targets }: Shape, backward: boolean): InputSpecs => {
  const n = rows * length
  return {
    ...baseWeightSpecs(config),
    x: float32(n, config.hidden_size),
    ...ropeSpecs(config, n),
    mask: float32(rows, length, length),
    ...(config.sliding_window === undefined ? {} : { "mask.sliding": float32(rows, length, length) }),
    token_ids: int32(config.vocab_size),
    targets: int32(n, targets),
    scaling: float32(),
    ...(backward ? Object.fromEntries(lossGradInputs.map((name) => [name, float32(n, targets)])) : {})
  }
}

/**
 * The program of `forward` and, with `backward`, of `forwardBackward`. N is `rows * length`.
 *
 * Inputs besides the weights and the matrices of the adapter: `x` (N, hidden_size), the embedded tokens; `cos` and
 * `sin` (N, 1, head_dim); `mask` (rows, length, length), and `mask.sliding` if layers have a window; `token_ids` (vocab_size), 0, 1, 2 …; `targets` (N, targets);
 * `scaling`, alpha over rank; and for `backward` the `lossGradInputs` (N, targets).
 *
 * Outputs: the `TargetScores`, with logprob = shifted - log(sumExp); for `backward`, then the gradients of the adapter,
 * for each linear layer A before B.
 *
 * @internal
 */
export const forwardBackward = (
  config: ModelConfig,
  linears: ReadonlyArray<Linear>,
  rank: number,
  shape: Shape,
  backward: boolean
): Program => {
  const adapter = adapterSpecs(linears, rank)
  const adapterNames = Object.keys(adapter)
  const parts = [...new Set(linears.map(({ part }) => part))].join("+")
  const kind = backward ? "forward_backward" : "forward"
  return {
    key: programKey(kind, config, parts, rank, shape.rows, shape.length, shape.targets),
    inputs: { ...inputSpecs(config, shape, backward), ...adapter },
    trace: (all) => {
      const { chosen: adapter, inputs } = splitInputs(all, adapterNames)
      if (!backward) {
        const { shifted, sumExp } = forwardPass(config, shape, inputs, adapter)
        disposeAll(all)
        return [shifted, sumExp]
      }
      const differentiate = valueAndGrad(forwardSurrogateLoss(config, shape), { hasAux: true })
      const [[value, outputs], gradients] = differentiate(adapter, inputs)
      value.dispose()
      return [...outputs, ...adapterNames.map((name) => gradients[name]!)]
    }
  }
}
