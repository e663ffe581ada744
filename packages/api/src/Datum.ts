/**
 * Training examples: what the model reads and what the loss needs, position by position. Position `i` of the input
 * predicts `target_tokens[i]`, so for a sequence `s` of `n + 1` tokens the input is `s[0..n-1]` and the targets are
 * `s[1..n]`.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as problems from "./internal/datum/problem.ts"
import { Datum, type Problem, type Span } from "./internal/datum/schema.ts"
import * as segments from "./internal/datum/segments.ts"
import type * as LossFn from "./LossFn.ts"
import * as ModelInput from "./ModelInput.ts"
import * as TensorData from "./TensorData.ts"

export * from "./internal/datum/schema.ts"
export type { SampledSegment, Segment } from "./internal/datum/segments.ts"

/**
 * A datum that has the inputs of a loss function. For a loss function that this version does not know, any datum.
 *
 * @since 0.1.0
 * @category models
 */
export type For<L extends string> = Datum & {
  readonly loss_fn_inputs: { readonly [K in LossFn.RequiredInput<L>]: TensorData.TensorData }
}

/**
 * A datum for `cross_entropy` with a weight for each target. A datum without `weights` has the weight 1 everywhere.
 *
 * @since 0.1.0
 * @category models
 */
export type Supervised = For<"cross_entropy"> & { readonly loss_fn_inputs: { readonly weights: TensorData.TensorData } }

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
 * A datum from token ids or a `ModelInput`, and from tensors or plain numbers. Its type lists the names of the loss
 * inputs, so that a loss function that needs another one rejects the datum at compile time.
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
 * A datum for one loss function: `make`, with a type that requires the inputs of the loss function.
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
 * A supervised datum: the model reads the prompt and the completion, and is trained on the completion only. Targets are
 * shifted by one against the input, and prompt positions have weight 0.
 *
 * @throws RangeError when a value is not a token id, or prompt and completion have fewer than two tokens together.
 * @since 0.1.0
 * @category constructors
 */
export const fromPromptCompletion = (prompt: ArrayLike<number>, completion: ArrayLike<number>): Supervised => {
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
 * A datum for `importance_sampling`, `ppo`, `cispo` and `dro`.
 *
 * @since 0.1.0
 * @category models
 */
export type Policy = For<"importance_sampling">

/**
 * A datum from what a model was given and what it sampled, in order: one prompt and its answer, or many turns. Positions
 * whose target was given have the logprob and the advantage 0. If each sampled part has its `sequence_id`, and the last
 * part is sampled, the datum has the provenance of its tokens.
 *
 * @throws RangeError when logprobs or advantages are not finite or not as many as their tokens, a length is not known, or
 * fewer than two tokens are given; the message names the path.
 * @since 0.1.0
 * @category constructors
 */
export const fromSegments = (parts: ReadonlyArray<segments.Segment>): Policy => {
  const { advantages, chunks, logprobs, spans, tokens } = segments.join(parts)
  if (tokens.length < 2) throw new RangeError("a datum needs two tokens or more: one to read and one to predict")
  const datum = make({
    model_input: segments.withoutLast(chunks),
    loss_fn_inputs: {
      target_tokens: tokens.subarray(1),
      logprobs: logprobs.subarray(1),
      advantages: advantages.subarray(1)
    }
  })
  return spans === undefined
    ? datum
    : withProvenance(datum, {
        model_input: segments.cutSpans(spans, "last"),
        loss_fn_inputs: segments.cutSpans(spans, "first")
      })
}

/**
 * Which targets of `fromSegments` were sampled: 1 at those, 0 at those that were given. It is the `sequence_ratio_mask` of
 * `gspo`, and what to measure over.
 *
 * @throws RangeError as `fromSegments`.
 * @since 0.1.0
 * @category getters
 */
export const sampledMask = (parts: ReadonlyArray<segments.Segment>): Float32Array =>
  segments.join(parts).mask.subarray(1)

/**
 * A datum from a prompt and one sequence that was sampled from it.
 *
 * ```ts
 * const { sequences } = yield* sampling.sample(prompt, { num_samples: 8 })
 * const data = (yield* Sampling.withLogprobs(sequences)).map((sequence, i) =>
 *   Datum.fromSampled(prompt, sequence, advantages[i]!)
 * )
 * ```
 *
 * @throws RangeError as `fromSegments`.
 * @since 0.1.0
 * @category constructors
 */
export const fromSampled = (
  prompt: ModelInput.ModelInput | ArrayLike<number>,
  sequence: Pick<segments.SampledSegment, "tokens" | "logprobs" | "sequence_id">,
  advantages: number | ArrayLike<number>
): Policy => fromSegments([prompt, { ...sequence, advantages }])

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
  const found = problems.spanProblem(out)
  if (found !== undefined) throw new RangeError(`${found.path} ${found.reason}`)
  return out
}

/**
 * The datum with its two-dimensional `target_tokens` and `weights` in sparse form wherever that is smaller. Servers
 * other than the hosted service may reject sparse tensors.
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
 * The datum with all tensors dense.
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
 * The first problem that prevents a loss function from using a datum: a missing input, a tensor whose first dimension
 * differs from the length of the model input, a number that is not finite, a shape that does not fit its data.
 *
 * @since 0.1.0
 * @category validation
 */
export const problem: (self: Datum, lossFn: string) => Problem | undefined = problems.problem

/**
 * The datum with a type that fits a loss function, or the problem that `problem` finds.
 *
 * @since 0.1.0
 * @category validation
 */
export const refine = <const L extends string>(self: Datum, lossFn: L): Either.Either<For<L>, Problem> => {
  const found = problem(self, lossFn)
  return found === undefined ? Either.right(self as For<L>) : Either.left(found)
}

/**
 * The schema of a datum that has what a loss function needs, as `forwardBackward` takes it: bodies of requests that lack an
 * input, or have one of another length, fail with the path to it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const schemaFor = <const L extends LossFn.KnownLossFn>(lossFn: L): Schema.Schema<For<L>, typeof Datum.Encoded> =>
  Datum.pipe(
    Schema.filter((datum) => {
      const found = problem(datum, lossFn)
      return found === undefined || { path: found.path.split("."), message: found.reason }
    })
  ) as unknown as Schema.Schema<For<L>, typeof Datum.Encoded>
