/** The inputs and outputs of one run of the training program, on one microbatch. */
import type * as TensorData from "@effect-tinker/api/TensorData"
import { embedTokens, type LoadedModel } from "../model/loaded.ts"
import * as rope from "../model/rope.ts"
import { lossGradInputs } from "../programs/targets.ts"
import type { PreparedDatum } from "./datum.ts"
import * as lossGrad from "./lossGrad.ts"
import type * as packing from "./packing.ts"

/**
 * The inputs that define the derivative of the loss (N, targets), with defaults at padding. `grads` has the derivative of
 * each placed datum, in the order of the placements.
 *
 * @internal
 */
export const lossGradValues = (
  microbatch: packing.Microbatch,
  grads: ReadonlyArray<lossGrad.LossGrad>,
  targets: number
): Record<string, Float32Array> => {
  const { length, placements, rows } = microbatch
  const values: Record<string, Float32Array> = {}
  for (const name of lossGradInputs) {
    const all = (values[name] = new Float32Array(rows * length * targets).fill(lossGrad.defaults[name]))
    placements.forEach(({ column, row }, i) => {
      const own = grads[i]![name]
      if (own !== undefined) all.set(own, (row * length + column) * targets)
    })
  }
  return values
}

/** Values of all positions, in the order of rows. @internal */
export interface MicrobatchInputs {
  readonly x: Float32Array
  readonly targets: Int32Array
  readonly ropes: rope.RopeRows
}

/** The inputs of a run besides the weights, the adapter, the attention mask and the derivative of the loss. @internal */
export const inputs = (
  model: LoadedModel,
  microbatch: packing.Microbatch,
  data: ReadonlyArray<PreparedDatum>,
  targets: number
): MicrobatchInputs => {
  const { length, placements, rows } = microbatch
  const n = rows * length
  const positions = new Int32Array(n)
  const placedTokens: Array<readonly [row: number, token: number]> = []
  const targetTokens = new Int32Array(n * targets)
  for (const { column, index, row } of placements) {
    const datum = data[index]!
    const start = row * length + column
    for (let i = 0; i < datum.tokens.length; i++) {
      positions[start + i] = i
      placedTokens.push([start + i, datum.tokens[i]!])
    }
    targetTokens.set(datum.targetTokens, start * targets)
  }
  const x = new Float32Array(n * model.config.hidden_size)
  embedTokens(model, placedTokens, x)
  return { x, targets: targetTokens, ropes: rope.rowsAt(model.rope, positions) }
}

/**
 * The target logprobs of the datum that starts at position `start` of the microbatch, from the outputs of a run.
 *
 * @internal
 */
export const logprobsAt = (
  datum: PreparedDatum,
  start: number,
  shifted: Float32Array,
  sumExp: Float32Array
): Float32Array => {
  const { targetsPerPosition, targetTokens } = datum
  const out = new Float32Array(targetTokens.length)
  for (let i = 0; i < out.length; i++) {
    // Math.log is more exact than the logarithms of the executors
    out[i] = shifted[start * targetsPerPosition + i]! - Math.log(sumExp[start + Math.floor(i / targetsPerPosition)]!)
  }
  return out
}

/** Values per target in the response: with as many axes as the `target_tokens` of the request. @internal */
export const toTensorData = (values: Float32Array, datum: PreparedDatum, rank: number): TensorData.TensorData => ({
  dtype: "float32",
  data: values,
  shape: rank === 1 ? [values.length] : [datum.tokens.length, datum.targetsPerPosition]
})
