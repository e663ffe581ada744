/** Why a loss function cannot use a datum: each check returns the first problem that it finds. */
import * as Either from "effect/Either"
import * as LossFn from "../../LossFn.ts"
import * as ModelInput from "../../ModelInput.ts"
import * as TensorData from "../../TensorData.ts"
import type { Datum, Problem, Span } from "./schema.ts"

const totalLength = (spans: ReadonlyArray<Span>): number => spans.reduce((sum, span) => sum + span.length, 0)

/** A problem with the spans: one of the pair is missing, or they do not cover what they should. @internal */
export const spanProblem = (datum: Datum): Problem | undefined => {
  const { loss_fn_input_spans, loss_fn_inputs, model_input, model_input_spans } = datum
  if (model_input_spans === undefined && loss_fn_input_spans === undefined) return undefined
  if (model_input_spans === undefined) return { path: "model_input_spans", reason: "is missing: spans come as a pair" }
  if (loss_fn_input_spans === undefined) {
    return { path: "loss_fn_input_spans", reason: "is missing: spans come as a pair" }
  }
  const positions = ModelInput.lengthEither(model_input)
  const covered = totalLength(model_input_spans)
  if (Either.isRight(positions) && positions.right !== covered) {
    return { path: "model_input_spans", reason: `cover ${covered} positions, but the input has ${positions.right}` }
  }
  const targets = loss_fn_inputs["target_tokens"]
  const coveredTargets = totalLength(loss_fn_input_spans)
  return targets === undefined || TensorData.lengthOf(targets) === coveredTargets
    ? undefined
    : {
        path: "loss_fn_input_spans",
        reason: `cover ${coveredTargets} positions, but target_tokens has ${TensorData.lengthOf(targets)}`
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
    ? { path: "", reason: "is a pointer to an image, which training does not accept: give the image itself" }
    : undefined
}

const chunksProblem = (chunks: ReadonlyArray<ModelInput.Chunk>): Problem | undefined => {
  for (let i = 0; i < chunks.length; i++) {
    const found = chunkProblem(chunks[i]!)
    if (found !== undefined) return { path: `model_input.chunks[${i}]${found.path}`, reason: found.reason }
  }
  return undefined
}

const missingInput = (datum: Datum, lossFn: string): Problem | undefined => {
  const missing = LossFn.requiredInputs(lossFn).find((name) => !Object.hasOwn(datum.loss_fn_inputs, name))
  return missing === undefined
    ? undefined
    : { path: `loss_fn_inputs.${missing}`, reason: `is missing: ${lossFn} needs it` }
}

/** `positions` is the length of the model input, if it is known. */
const inputProblem = (
  name: string,
  tensor: TensorData.TensorData,
  lossFn: string,
  positions: number | undefined
): Problem | undefined => {
  const path = `loss_fn_inputs.${name}`
  const reason = TensorData.problem(tensor)
  if (reason !== undefined) return { path, reason }
  // A custom loss may take scalars.
  if (lossFn === "custom" && tensor.shape?.length === 0) return undefined
  const length = TensorData.lengthOf(tensor)
  if (positions !== undefined && length !== positions) {
    return { path, reason: `has length ${length}, but the model input has length ${positions}: they must be equal` }
  }
  if (tensor.dtype !== "float32") return undefined
  const index = tensor.data.findIndex((value) => !Number.isFinite(value))
  return index < 0 ? undefined : { path: `${path}[${index}]`, reason: `is ${tensor.data[index]}: give a finite number` }
}

/** @internal */
export const problem = (datum: Datum, lossFn: string): Problem | undefined => {
  const badChunk = chunksProblem(datum.model_input.chunks)
  if (badChunk !== undefined) return badChunk
  // The service counts an image without expected_tokens, and then checks the lengths itself.
  const positions = Either.getOrUndefined(ModelInput.lengthEither(datum.model_input))
  if (positions === 0) return { path: "model_input", reason: "is empty: give it one token or more" }
  const missing = missingInput(datum, lossFn)
  if (missing !== undefined) return missing
  for (const [name, tensor] of Object.entries(datum.loss_fn_inputs)) {
    const found = inputProblem(name, tensor, lossFn, positions)
    if (found !== undefined) return found
  }
  return spanProblem(datum)
}
