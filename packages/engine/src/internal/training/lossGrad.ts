/**
 * The derivative of a loss with respect to each target logprob `p`, as the coefficients of one formula that covers all
 * losses. The program of training evaluates it with `r = exp(p - old_logprobs)`:
 *
 * `constant + clipped * clip(r, low, high) + gated * (low <= r <= high ? r : 0) + quadratic * (p - old_logprobs)`
 */
import type { lossGradInputs } from "../programs/targets.ts"

type LossGradInput = (typeof lossGradInputs)[number]

/** The coefficients of a datum, a value per target each. Absent ones have their default. @internal */
export type LossGrad = { readonly [name in LossGradInput]?: Float32Array }

/** About the largest finite value of float32. */
const unbounded = 3.4e38

/** The coefficients that a datum does not have, and those of padding, for which the derivative is 0. @internal */
export const defaults: { readonly [name in LossGradInput]: number } = {
  constant: 0,
  clipped: 0,
  gated: 0,
  quadratic: 0,
  low: 0,
  high: unbounded,
  old_logprobs: 0
}
