/**
 * One training example: what the model reads and what the loss needs, position by position. Position `i` of the input
 * predicts `target_tokens[i]`, so for a sequence `s` the input is `s[0..n-1]` and the targets are `s[1..n]`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as LossFn from "./LossFn.ts"
import * as ModelInput from "./ModelInput.ts"
import * as TensorData from "./TensorData.ts"

/**
 * @since 0.1.0
 * @category schemas
 */
export const Datum = Schema.Struct({
  model_input: ModelInput.ModelInput,
  loss_fn_inputs: Schema.Record({ key: Schema.String, value: TensorData.TensorData })
})

/**
 * @since 0.1.0
 * @category models
 */
export type Datum = typeof Datum.Type

/**
 * Tensors by name, or numbers that become one: `target_tokens` turns into `int64`, every other name into `float32`.
 *
 * @since 0.1.0
 * @category models
 */
export type LossFnInputs = { readonly [name: string]: TensorData.TensorData | TensorData.Values }

/**
 * A datum from token ids or a `ModelInput`, and from tensors or plain numbers.
 *
 * @throws RangeError when rows are ragged or a target is not an integer.
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: {
  readonly model_input: ModelInput.ModelInput | ArrayLike<number>
  readonly loss_fn_inputs: LossFnInputs
}): Datum => {
  const loss_fn_inputs: Record<string, TensorData.TensorData> = {}
  for (const [name, value] of Object.entries(options.loss_fn_inputs)) {
    loss_fn_inputs[name] = TensorData.isTensorData(value)
      ? value
      : name === "target_tokens"
        ? TensorData.int64(value)
        : TensorData.float32(value)
  }
  return {
    model_input: "chunks" in options.model_input ? options.model_input : ModelInput.fromTokens(options.model_input),
    loss_fn_inputs
  }
}

/**
 * A supervised datum: the model reads the prompt and the completion, and is trained on the completion alone. Targets
 * are shifted by one against the input, and prompt positions have weight 0.
 *
 * @throws RangeError when a value is not a token id, or prompt and completion hold fewer than two tokens together.
 * @since 0.1.0
 * @category constructors
 */
export const fromPromptCompletion = (prompt: ArrayLike<number>, completion: ArrayLike<number>): Datum => {
  const tokens = new Int32Array(prompt.length + completion.length)
  if (tokens.length < 2) throw new RangeError("a datum needs two tokens or more: one to read and one to predict")
  tokens.set(ModelInput.toTokens(ModelInput.fromTokens(prompt)))
  tokens.set(ModelInput.toTokens(ModelInput.fromTokens(completion)), prompt.length)
  const weights = new Float32Array(tokens.length - 1)
  weights.fill(1, Math.max(0, prompt.length - 1))
  return make({
    model_input: tokens.subarray(0, -1),
    loss_fn_inputs: { target_tokens: tokens.subarray(1), weights }
  })
}

/**
 * A problem with a datum, and the path to the field at fault.
 *
 * @since 0.1.0
 * @category models
 */
export interface Problem {
  readonly path: string
  readonly reason: string
}

/**
 * The first problem that would keep a loss function from using a datum: a missing input, a tensor whose first dimension
 * differs from the length of the model input, a number that is not finite, a shape that does not fit its data.
 *
 * @since 0.1.0
 * @category validation
 */
export const problem = (self: Datum, lossFn: string): Problem | undefined => {
  const positions = ModelInput.length(self.model_input)
  if (positions === 0) return { path: "model_input", reason: "is empty: give it one token or more" }
  for (const [chunk, { tokens }] of self.model_input.chunks.entries()) {
    const index = tokens.findIndex((token) => token < 0)
    if (index >= 0) {
      return { path: `model_input.chunks[${chunk}].tokens[${index}]`, reason: `is ${tokens[index]}, not a token id` }
    }
  }
  for (const name of LossFn.requiredInputs(lossFn)) {
    if (!Object.hasOwn(self.loss_fn_inputs, name)) {
      return { path: `loss_fn_inputs.${name}`, reason: `is missing: ${lossFn} needs it` }
    }
  }
  for (const [name, tensor] of Object.entries(self.loss_fn_inputs)) {
    const path = `loss_fn_inputs.${name}`
    const shape = TensorData.shapeOf(tensor)
    if (TensorData.sizeOfShape(shape) !== tensor.data.length) {
      return { path, reason: `has shape [${shape.join(", ")}], but ${tensor.data.length} values` }
    }
    if (shape[0] !== positions) {
      return { path, reason: `has length ${shape[0]}, but the model input has length ${positions}: they must be equal` }
    }
    if (tensor.dtype === "float32") {
      const index = tensor.data.findIndex((value) => !Number.isFinite(value))
      if (index >= 0) return { path: `${path}[${index}]`, reason: `is ${tensor.data[index]}: give a finite number` }
    }
  }
  return undefined
}
