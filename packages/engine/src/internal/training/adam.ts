import type * as Training from "@effect-tinker/api/Training"

/** AdamW's state for a flat vector of parameters. @internal */
export interface State {
  step: number
  readonly first: Float32Array
  readonly second: Float32Array
}

/** @internal */
export const init = (size: number): State => ({
  step: 0,
  first: new Float32Array(size),
  second: new Float32Array(size)
})

/** The Euclidean norm over all values. @internal */
export const norm = (gradient: Float32Array): number => {
  let sum = 0
  for (let i = 0; i < gradient.length; i++) sum += gradient[i]! * gradient[i]!
  return Math.sqrt(sum)
}

/**
 * One step of AdamW, in place: bias-corrected moments, decay decoupled from them, and the gradient scaled down first
 * when its norm exceeds `grad_clip_norm`. `length` is the gradient's norm.
 *
 * @internal
 */
export const update = (
  values: Float32Array,
  gradient: Float32Array,
  state: State,
  params: Training.AdamParams,
  length: number
): void => {
  const { beta1, beta2, eps, grad_clip_norm, learning_rate, weight_decay } = params
  const { first, second } = state
  const scale = grad_clip_norm > 0 && length > grad_clip_norm ? grad_clip_norm / length : 1
  state.step += 1
  const correction1 = 1 - beta1 ** state.step
  const correction2 = 1 - beta2 ** state.step
  for (let i = 0; i < values.length; i++) {
    const g = gradient[i]! * scale
    const m = beta1 * first[i]! + (1 - beta1) * g
    const v = beta2 * second[i]! + (1 - beta2) * g * g
    first[i] = m
    second[i] = v
    const direction = m / correction1 / (Math.sqrt(v / correction2) + eps)
    values[i] = values[i]! - learning_rate * (direction + weight_decay * values[i]!)
  }
}
