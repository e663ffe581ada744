/** The program of training: logprobs of target tokens, and gradients of the adapter. */
import { lax, numpy as np, valueAndGrad } from "@jax-js/jax"
import type { ModelConfig } from "../../ModelConfig.ts"
import type { Program, TensorSpec, Traced } from "../executors/executor.ts"
import type { Linear } from "../model/architecture.ts"
import { attendWithinRows } from "../model/attention.ts"
import { hiddenStates, loraProjection, type TracedInputs } from "../model/transformer.ts"
import { baseWeightSpecs, disposeAll, float32, type InputSpecs, int32, programKey } from "./inputs.ts"

/** The shape of a microbatch: `rows` of `length` positions, with `targets` target tokens at each. */
interface Shape {
  readonly rows: number
  readonly length: number
  readonly targets: number
}

/** The inputs (N, targets) that define the derivative of the loss; `training/lossGrad.ts` has the formula. @internal */
export const lossGradInputs = ["constant", "clipped", "gated", "quadratic", "low", "high", "old_logprobs"] as const

/** The derivative of the loss with respect to each target logprob. */
const lossGrad = (inputs: TracedInputs, logprobs: Traced): Traced => {
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

/** Logits of the targets less the largest logit of the position (N, targets), and the sum of exponentials (N). */
interface TargetScores {
  readonly shifted: Traced
  readonly sumExp: Traced
}

/** Traces the forward pass. */
const scoreTargets = (
  config: ModelConfig,
  { length, rows, targets }: Shape,
  inputs: TracedInputs,
  adapter: TracedInputs
): TargetScores => {
  const n = rows * length
  const project = loraProjection(config, inputs, adapter)
  const attend = attendWithinRows(config, rows, length, inputs["mask"]!)
  const logits = project(hiddenStates(config, inputs, inputs["x"]!.ref, project, attend), "lm_head")
  const max = lax.stopGradient(logits.ref.max(-1, { keepdims: true }))
  const shifted = logits.sub(max)
  const sumExp = np.exp(shifted.ref).sum(-1)
  const isTarget = inputs["token_ids"]!.ref.reshape([1, 1, config.vocab_size]).equal(
    inputs["targets"]!.ref.reshape([n, targets, 1])
  )
  return { shifted: np.where(isTarget, shifted.reshape([n, 1, config.vocab_size]), 0).sum(-1), sumExp }
}

/**
 * Traces `sum(lossGrad * logprob)` with lossGrad held fixed. Its gradient is that of the loss, so one program serves
 * all losses.
 */
const surrogateLoss =
  (config: ModelConfig, shape: Shape) =>
  (adapter: TracedInputs, inputs: TracedInputs): [Traced, Array<Traced>] => {
    const { shifted, sumExp } = scoreTargets(config, shape, inputs, adapter)
    const logprobs = shifted.ref.sub(np.log(sumExp.ref).reshape([shape.rows * shape.length, 1]))
    const grad = lossGrad(inputs, lax.stopGradient(logprobs.ref))
    const value = logprobs.mul(lax.stopGradient(grad)).sum()
    disposeAll(inputs)
    disposeAll(adapter)
    return [value, [lax.stopGradient(shifted), lax.stopGradient(sumExp)]]
  }

const adapterSpecs = (linears: ReadonlyArray<Linear>, rank: number): InputSpecs => {
  const specs: Record<string, TensorSpec> = {}
  for (const linear of linears) {
    specs[`${linear.name}.A`] = float32(rank, linear.in)
    specs[`${linear.name}.B`] = float32(linear.out, rank)
  }
  return specs
}

const inputSpecs = (config: ModelConfig, { length, rows, targets }: Shape, backward: boolean): InputSpecs => {
  const n = rows * length
  return {
    ...baseWeightSpecs(config),
    x: float32(n, config.hidden_size),
    cos: float32(n, 1, config.head_dim),
    sin: float32(n, 1, config.head_dim),
    mask: float32(rows, length, length),
    token_ids: int32(config.vocab_size),
    targets: int32(n, targets),
    scaling: float32(),
    ...(backward ? Object.fromEntries(lossGradInputs.map((name) => [name, float32(n, targets)])) : {})
  }
}

/** Separates the inputs of the adapter, by which the loss is differentiated, from the others. */
const splitInputs = (
  all: TracedInputs,
  adapterNames: ReadonlyArray<string>
): { readonly adapter: TracedInputs; readonly inputs: TracedInputs } => ({
  adapter: Object.fromEntries(adapterNames.map((name) => [name, all[name]!])),
  inputs: Object.fromEntries(Object.entries(all).filter(([name]) => !adapterNames.includes(name)))
})

/**
 * The program of `forward` and, with `backward`, of `forwardBackward`. N is `rows * length`.
 *
 * Inputs besides the weights and the matrices of the adapter: `x` (N, hidden_size), the embedded tokens; `cos` and
 * `sin` (N, 1, head_dim); `mask` (rows, length, length); `token_ids` (vocab_size), 0, 1, 2 …; `targets` (N, targets);
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
      const { adapter, inputs } = splitInputs(all, adapterNames)
      if (!backward) {
        const { shifted, sumExp } = scoreTargets(config, shape, inputs, adapter)
        disposeAll(all)
        return [shifted, sumExp]
      }
      const differentiate = valueAndGrad(surrogateLoss(config, shape), { hasAux: true })
      const [[value, outputs], gradients] = differentiate(adapter, inputs)
      value.dispose()
      return [...outputs, ...adapterNames.map((name) => gradients[name]!)]
    }
  }
}
