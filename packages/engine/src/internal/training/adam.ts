/** The AdamW optimizer, on a flat vector of parameters. */
import type * as Training from "@effect-tinker/api/Training"

/** The optimizer state: the number of steps and the two moments of the gradient. @internal */
export interface State {
  step: number
  readonly first: Float32Array
  readonly second: Float32Array
}

/** The state before the first step. @internal */
export const initialState = (size: number): State => ({
  step: 0,
  first: new Float32Array(size),
  second: new Float32Array(size)
})

/** The Euclidean norm. @internal */
export const norm = (gradient: Float32Array): number => {
  let sum = 0
  for (let i = 0; i < gradient.length; i++) sum += gradient[i]! * gradient[i]!
  return Math.sqrt(sum)
}

/**
 * One step of AdamW, which updates the parameters and the state in place: bias-corrected moments and decoupled weight
 * decay. A gradient whose norm exceeds `grad_clip_norm` is scaled down first.
 *
 * @internal
 */
export const step = (
  parameters: Float32Array,
  gradient: Float32Array,
  gradientNorm: number,
  state: State,
  params: Training.AdamParams
): void => {
  const { beta1, beta2, eps, grad_clip_norm, learning_rate, weight_decay } = params
  const { first, second } = state
  const scale = grad_clip_norm > 0 && gradientNorm > grad_clip_norm ? grad_clip_norm / gradientNorm : 1
  state.step += 1
  const correction1 = 1 - beta1 ** state.step
  const correction2 = 1 - beta2 ** state.step
  for (let i = 0; i < parameters.length; i++) {
    const g = gradient[i]! * scale
    const m = beta1 * first[i]! + (1 - beta1) * g
    const v = beta2 * second[i]! + (1 - beta2) * g * g
    first[i] = m
    second[i] = v
    const direction = m / correction1 / (Math.sqrt(v / correction2) + eps)
    parameters[i] = parameters[i]! - learning_rate * (direction + weight_decay * parameters[i]!)
  }
}
