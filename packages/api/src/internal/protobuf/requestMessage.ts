/** `ForwardBackwardRequest`: the message in memory, and the values in it that protobuf cannot represent. */
import type * as Datum from "../../Datum.ts"
import type * as LossFn from "../../LossFn.ts"
import type * as ModelInput from "../../ModelInput.ts"
import * as TensorData from "../../TensorData.ts"

/** A forward or forward-backward request. @internal */
export interface ForwardBackwardMessage {
  readonly model_id: string
  readonly seq_id: number
  readonly data: ReadonlyArray<Datum.Datum>
  readonly loss_fn: string
  readonly loss_fn_config: LossFn.Config
  readonly forward_only: boolean
}

/** A value that protobuf cannot represent, and the path to it. @internal */
export interface EncodeProblem {
  readonly path: string
  readonly reason: string
}

const maxInt32 = 0x7fffffff

const isNaturalInt32 = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= maxInt32

const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

const chunkProblem = (chunk: ModelInput.Chunk): string | undefined => {
  if (chunk.type === "image_asset_pointer") return "is a pointer to an image, which protobuf cannot carry"
  if (chunk.type !== "image") return undefined
  const { expected_tokens, override_dimensions } = chunk
  if (expected_tokens !== undefined && !isNaturalInt32(expected_tokens)) {
    return "has expected_tokens that are not in [0, 2^31)"
  }
  return override_dimensions === undefined ||
    (isNaturalInt32(override_dimensions.width) && isNaturalInt32(override_dimensions.height))
    ? undefined
    : "has dimensions that are not in [0, 2^31)"
}

const datumProblem = (datum: Datum.Datum): EncodeProblem | undefined => {
  const { chunks } = datum.model_input
  for (let i = 0; i < chunks.length; i++) {
    const reason = chunkProblem(chunks[i]!)
    if (reason !== undefined) return { path: `model_input.chunks[${i}]`, reason }
  }
  for (const name of Object.keys(datum.loss_fn_inputs)) {
    const reason = TensorData.problem(datum.loss_fn_inputs[name]!)
    if (reason !== undefined) return { path: `loss_fn_inputs.${name}`, reason }
  }
  for (const key of ["model_input_spans", "loss_fn_input_spans"] as const) {
    const spans = datum[key] ?? []
    const bad = spans.findIndex(({ length, offset }) => !isSize(length) || !isSize(offset))
    if (bad >= 0) return { path: `${key}[${bad}]`, reason: "has an offset or length below 0" }
  }
  return undefined
}

/** The first value that protobuf cannot represent. @internal */
export const problem = (message: ForwardBackwardMessage): EncodeProblem | undefined => {
  if (!isNaturalInt32(message.seq_id)) return { path: "seq_id", reason: `is ${message.seq_id}, not in [0, 2^31)` }
  for (let i = 0; i < message.data.length; i++) {
    const found = datumProblem(message.data[i]!)
    if (found !== undefined) return { path: `data[${i}].${found.path}`, reason: found.reason }
  }
  return undefined
}
