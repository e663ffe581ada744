/**
 * One training example: what the model reads and what the loss needs, position by position. Position `i` of the input
 * predicts `target_tokens[i]`, so for a sequence `s` the input is `s[0..n-1]` and the targets are `s[1..n]`.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { optionalKey } from "./internal/schemas/optional.ts"
import * as LossFn from "./LossFn.ts"
import * as ModelInput from "./ModelInput.ts"
import * as TensorData from "./TensorData.ts"

/**
 * Where a run of `length` tokens came from: positions `offset` to `offset + length` of the prompt that led to a sampled
 * sequence (`prompt`), or of the sequence itself (`sampled`). `sequence_id` is the one that sampling answered with.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Span = Schema.Struct({
  type: Schema.Literal("prompt", "sampled"),
  sequence_id: Schema.NonEmptyString,
  offset: Schema.NonNegativeInt,
  length: Schema.NonNegativeInt
})

/**
 * @since 0.1.0
 * @category models
 */
export type Span = typeof Span.Type

/**
 * The spans, which only protobuf carries, come as a pair: those of the input cover its positions one after another, and
 * those of the loss inputs cover `target_tokens`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Datum = Schema.Struct({
  model_input: ModelInput.ModelInput,
  loss_fn_inputs: Schema.Record({ key: Schema.String, value: TensorData.TensorData }),
  model_input_spans: optionalKey(Schema.Array(Span)),
  loss_fn_input_spans: optionalKey(Schema.Array(Span))
})

/**
 * @since 0.1.0
 * @category models
 */
export type Datum = typeof Datum.Type

/**
 * A datum that carries what a loss function needs. For a loss function that this version does not know, any datum.
 *
 * @since 0.1.0
 * @category models
 */
export type For<L extends string> = Datum & {
  readonly loss_fn_inputs: { readonly [K in LossFn.RequiredInput<L>]: TensorData.TensorData }
}

/**
 * Tensors by name, or numbers that become one: `target_tokens` turns into `int64`, every other name into `float32`.
 *
 * @since 0.1.0
 * @category models
 */
export type LossFnInputs = { readonly [name: string]: TensorData.TensorData | TensorData.Values }

/**
 * What `make` and `forLoss` take.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<I extends LossFnInputs> {
  readonly model_input: ModelInput.ModelInput | ArrayLike<number>
  readonly loss_fn_inputs: I
}

const isModelInput = (u: ModelInput.ModelInput | ArrayLike<number>): u is ModelInput.ModelInput => "chunks" in u

/**
 * A datum from token ids or a `ModelInput`, and from tensors or plain numbers. Its type remembers the names of the loss
 * inputs, so that a loss function which needs another one refuses the datum at compile time.
 *
 * @throws RangeError when rows are ragged or a target is not an integer.
 * @since 0.1.0
 * @category constructors
 */
export const make = <const I extends LossFnInputs>(
  options: Options<I>
): Datum & { readonly loss_fn_inputs: { readonly [K in keyof I]: TensorData.TensorData } } => {
  const loss_fn_inputs: Record<string, TensorData.TensorData> = {}
  for (const [name, value] of Object.entries(options.loss_fn_inputs)) {
    loss_fn_inputs[name] = TensorData.isTensorData(value)
      ? value
      : name === "target_tokens"
        ? TensorData.int64(value)
        : TensorData.float32(value)
  }
  return {
    model_input: isModelInput(options.model_input) ? options.model_input : ModelInput.fromTokens(options.model_input),
    loss_fn_inputs: loss_fn_inputs as { [K in keyof I]: TensorData.TensorData }
  }
}

/**
 * A datum for one loss function: `make`, with the inputs that the loss function needs asked for by name.
 *
 * @throws RangeError when rows are ragged or a target is not an integer.
 * @since 0.1.0
 * @category constructors
 */
export const forLoss = <const L extends LossFn.KnownLossFn>(
  _lossFn: L,
  options: Options<
    LossFnInputs & { readonly [K in LossFn.RequiredInput<L>]: TensorData.TensorData | TensorData.Values }
  >
): For<L> => make(options) as Datum as For<L>

/**
 * A supervised datum: the model reads the prompt and the completion, and is trained on the completion alone. Targets
 * are shifted by one against the input, and prompt positions have weight 0.
 *
 * @throws RangeError when a value is not a token id, or prompt and completion hold fewer than two tokens together.
 * @since 0.1.0
 * @category constructors
 */
export const fromPromptCompletion = (
  prompt: ArrayLike<number>,
  completion: ArrayLike<number>
): For<"cross_entropy"> => {
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
 * The datum with the provenance of its tokens.
 *
 * @throws RangeError when the spans do not cover the input, or `target_tokens`, exactly.
 * @since 0.1.0
 * @category combinators
 */
export const withProvenance = <D extends Datum>(
  self: D,
  spans: { readonly model_input: ReadonlyArray<Span>; readonly loss_fn_inputs: ReadonlyArray<Span> }
): D => {
  const out = { ...self, model_input_spans: spans.model_input, loss_fn_input_spans: spans.loss_fn_inputs }
  const wrong = spanProblem(out)
  if (wrong !== undefined) throw new RangeError(`${wrong.path} ${wrong.reason}`)
  return out
}

/**
 * The datum with its two-dimensional `target_tokens` and `weights` in sparse form wherever that is smaller. Servers
 * other than the hosted one may refuse sparse tensors.
 *
 * @since 0.1.0
 * @category combinators
 */
export const sparsify = <D extends Datum>(self: D): D => {
  const loss_fn_inputs: Record<string, TensorData.TensorData> = { ...self.loss_fn_inputs }
  for (const name of ["target_tokens", "weights"]) {
    const tensor = loss_fn_inputs[name]
    if (tensor !== undefined) loss_fn_inputs[name] = TensorData.sparsify(tensor)
  }
  return { ...self, loss_fn_inputs }
}

/**
 * The datum with every tensor dense, as a computation wants to read it.
 *
 * @since 0.1.0
 * @category combinators
 */
export const toDense = <D extends Datum>(self: D): D => {
  if (!Object.values(self.loss_fn_inputs).some(TensorData.isSparse)) return self
  const loss_fn_inputs: Record<string, TensorData.TensorData> = {}
  for (const [name, tensor] of Object.entries(self.loss_fn_inputs)) loss_fn_inputs[name] = TensorData.toDense(tensor)
  return { ...self, loss_fn_inputs }
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

const spanProblem = (self: Datum): Problem | undefined => {
  const { loss_fn_input_spans, loss_fn_inputs, model_input, model_input_spans } = self
  if (model_input_spans === undefined && loss_fn_input_spans === undefined) return undefined
  if (model_input_spans === undefined) return { path: "model_input_spans", reason: "is missing: spans come as a pair" }
  if (loss_fn_input_spans === undefined) {
    return { path: "loss_fn_input_spans", reason: "is missing: spans come as a pair" }
  }
  const covered = (spans: ReadonlyArray<Span>) => spans.reduce((sum, span) => sum + span.length, 0)
  const positions = ModelInput.lengthEither(model_input)
  const inputs = covered(model_input_spans)
  if (Either.isRight(positions) && positions.right !== inputs) {
    return { path: "model_input_spans", reason: `cover ${inputs} positions, but the input has ${positions.right}` }
  }
  const targets = loss_fn_inputs["target_tokens"]
  const outputs = covered(loss_fn_input_spans)
  return targets === undefined || TensorData.lengthOf(targets) === outputs
    ? undefined
    : {
        path: "loss_fn_input_spans",
        reason: `cover ${outputs} positions, but target_tokens has ${TensorData.lengthOf(targets)}`
      }
}

const chunkProblem = (chunk: ModelInput.Chunk): Problem | undefined => {
  if (chunk.type === "encoded_text") {
    const { tokens } = chunk
    const index = tokens.findIndex((token) => token < 0)
    return index < 0 ? undefined : { path: `.tokens[${index}]`, reason: `is ${tokens[index]}, not a token id` }
  }
  if (chunk.type === "dmel") {
    const length = ModelInput.chunkLength(chunk)
    return Either.isRight(length) ? undefined : { path: ".dmel", reason: length.left }
  }
  return chunk.type === "image_asset_pointer"
    ? { path: "", reason: "is a pointer to an image, which training does not take: give the image itself" }
    : undefined
}

/**
 * The first problem that would keep a loss function from using a datum: a missing input, a tensor whose first dimension
 * differs from the length of the model input, a number that is not finite, a shape that does not fit its data.
 *
 * @since 0.1.0
 * @category validation
 */
export const problem = (self: Datum, lossFn: string): Problem | undefined => {
  const { chunks } = self.model_input
  for (let i = 0; i < chunks.length; i++) {
    const wrong = chunkProblem(chunks[i]!)
    if (wrong !== undefined) return { path: `model_input.chunks[${i}]${wrong.path}`, reason: wrong.reason }
  }
  // an image without expected_tokens is counted by the service, which then checks the lengths as well
  const positions = Either.getOrUndefined(ModelInput.lengthEither(self.model_input))
  if (positions === 0) return { path: "model_input", reason: "is empty: give it one token or more" }
  for (const name of LossFn.requiredInputs(lossFn)) {
    if (!Object.hasOwn(self.loss_fn_inputs, name)) {
      return { path: `loss_fn_inputs.${name}`, reason: `is missing: ${lossFn} needs it` }
    }
  }
  for (const [name, tensor] of Object.entries(self.loss_fn_inputs)) {
    const path = `loss_fn_inputs.${name}`
    const wrong = TensorData.problem(tensor)
    if (wrong !== undefined) return { path, reason: wrong }
    const length = TensorData.lengthOf(tensor)
    // a loss of the user's own may take single numbers
    if (lossFn === "custom" && tensor.shape?.length === 0) continue
    if (positions !== undefined && length !== positions) {
      return { path, reason: `has length ${length}, but the model input has length ${positions}: they must be equal` }
    }
    if (tensor.dtype === "float32") {
      const index = tensor.data.findIndex((value) => !Number.isFinite(value))
      if (index >= 0) return { path: `${path}[${index}]`, reason: `is ${tensor.data[index]}: give a finite number` }
    }
  }
  return spanProblem(self)
}

/**
 * The datum itself, known to fit a loss function; or the problem that `problem` finds.
 *
 * @since 0.1.0
 * @category validation
 */
export const refine = <const L extends string>(self: Datum, lossFn: L): Either.Either<For<L>, Problem> => {
  const wrong = problem(self, lossFn)
  return wrong === undefined ? Either.right(self as For<L>) : Either.left(wrong)
}
