/**
 * The binary form of the three messages that carry many numbers: passes, their results, and samples.
 *
 * Writing takes two passes, one that measures and one that writes, so that a message of any size is one allocation;
 * arrays are copied whole, never number by number. Reading gives views on the buffer wherever the alignment of the data
 * allows it, so the buffer must not be written to afterwards.
 *
 * Nothing here throws: whatever cannot be written or read is on the left.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Datum from "./Datum.ts"
import * as output from "./internal/protobuf/output.ts"
import { Malformed } from "./internal/protobuf/reader.ts"
import * as request from "./internal/protobuf/request.ts"
import * as sample from "./internal/protobuf/sample.ts"
import { Texts } from "./internal/protobuf/writer.ts"
import type * as Sampling from "./Sampling.ts"
import * as TensorData from "./TensorData.ts"
import type * as Training from "./Training.ts"

/**
 * @since 0.1.0
 * @category constants
 */
export const contentType = "application/x-protobuf"

/**
 * Whether a header `Content-Type` or `Accept` names protobuf.
 *
 * @since 0.1.0
 * @category guards
 */
export const isProtobuf = (header: string | undefined): boolean => header?.includes(contentType) ?? false

/**
 * A value that protobuf cannot carry; `path` leads to it.
 *
 * @since 0.1.0
 * @category errors
 */
export class ProtobufEncodeError extends Schema.TaggedError<ProtobufEncodeError>(
  "@effect-tinker/api/ProtobufEncodeError"
)("ProtobufEncodeError", { path: Schema.String, reason: Schema.String }) {
  override get message(): string {
    return `${this.path} ${this.reason}`
  }
}

/**
 * Bytes that are not the message they should be: `Truncated` when they end too early, `Malformed` when they are no
 * message at all, `Value` when a message holds what it may not.
 *
 * @since 0.1.0
 * @category errors
 */
export class ProtobufDecodeError extends Schema.TaggedError<ProtobufDecodeError>(
  "@effect-tinker/api/ProtobufDecodeError"
)("ProtobufDecodeError", {
  type: Schema.String,
  reason: Schema.Literal("Truncated", "Malformed", "Value"),
  detail: Schema.String
}) {
  override get message(): string {
    return `these bytes are not a ${this.type}: ${this.detail}`
  }
}

/**
 * A pass as it is sent: forward and backward, or with `forward_only` forward alone.
 *
 * @since 0.1.0
 * @category models
 */
export interface PassRequest extends Training.ForwardBackwardRequest {
  readonly forward_only?: boolean | undefined
}

const read = <A>(
  type: string,
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => A
): Either.Either<A, ProtobufDecodeError> => {
  try {
    return Either.right(decode(bytes))
  } catch (error) {
    if (!(error instanceof Malformed)) throw error
    return Either.left(new ProtobufDecodeError({ type, reason: error.reason, detail: error.message }))
  }
}

/**
 * The bytes of a pass. A missing `seq_id` is written as 0, which servers refuse. Fails on a pointer to an image, and on
 * a tensor whose shape or indices do not fit its data.
 *
 * The bytes are written into `into` where that is large enough, and otherwise into memory of their own. A fresh buffer
 * of many megabytes costs several times what the writing does, so one who sends many passes does well to keep buffers.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encodeForwardBackwardRequest = (
  pass: PassRequest,
  options?: { readonly into?: Uint8Array | undefined }
): Either.Either<Uint8Array, ProtobufEncodeError> => {
  const { data, loss_fn, loss_fn_config } = pass.forward_backward_input
  const message: request.Pass = {
    model_id: pass.model_id,
    seq_id: pass.seq_id ?? 0,
    data,
    loss_fn,
    loss_fn_config: loss_fn_config ?? {},
    forward_only: pass.forward_only ?? false
  }
  const refusal = request.refusal(message)
  return refusal === undefined
    ? Either.right(request.encode(message, options?.into))
    : Either.left(new ProtobufEncodeError(refusal))
}

/**
 * A pass from its bytes. A `seq_id` of 0 reads as absent, and so does a config without entries.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decodeForwardBackwardRequest = (
  bytes: Uint8Array
): Either.Either<PassRequest & { readonly forward_only: boolean }, ProtobufDecodeError> =>
  read("ForwardBackwardRequest", bytes, (bytes) => {
    const { data, forward_only, loss_fn, loss_fn_config, model_id, seq_id } = request.decode(bytes)
    return {
      forward_backward_input: {
        data,
        loss_fn,
        ...(Object.keys(loss_fn_config).length === 0 ? {} : { loss_fn_config })
      },
      model_id,
      ...(seq_id === 0 ? {} : { seq_id }),
      forward_only
    }
  })

/**
 * The exact number of bytes that a datum takes in a pass, without writing it: what chunks of a batch are cut by.
 *
 * @since 0.1.0
 * @category encoding
 */
export const datumSize = (datum: Datum.Datum): number => request.datumSize(datum, new Texts())

/**
 * The bytes of a result. Outputs of the same names, dtypes and trailing shapes share a record; sparse tensors become
 * dense. Fails on a tensor whose shape does not fit its data.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encodeForwardBackwardOutput = (
  value: Training.ForwardBackwardOutput
): Either.Either<Uint8Array, ProtobufEncodeError> => {
  for (const [index, tensors] of value.loss_fn_outputs.entries()) {
    for (const [name, tensor] of Object.entries(tensors)) {
      const reason = TensorData.problem(tensor)
      if (reason !== undefined) {
        return Either.left(new ProtobufEncodeError({ path: `loss_fn_outputs[${index}].${name}`, reason }))
      }
    }
  }
  return Either.right(output.encode(value))
}

/**
 * A result from its bytes: int32 reads as int64 and bfloat16 as float32. The tensors of one field share memory.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decodeForwardBackwardOutput = (
  bytes: Uint8Array
): Either.Either<Training.ForwardBackwardOutput, ProtobufDecodeError> =>
  read("ForwardBackwardOutput", bytes, output.decode)

/**
 * The bytes of a sample. The ids of its sequences are not part of them. Fails on a stop reason that protobuf has no
 * number for, and on a tensor whose shape or indices do not fit its data.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encodeSampleResponse = (
  response: Sampling.SampleResponse
): Either.Either<Uint8Array, ProtobufEncodeError> => {
  const refusal = sample.refusal(response)
  return refusal === undefined ? Either.right(sample.encode(response)) : Either.left(new ProtobufEncodeError(refusal))
}

/**
 * A sample from its bytes. Logprobs without values read as absent; `NaN` in them stands for a position without one.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decodeSampleResponse = (bytes: Uint8Array): Either.Either<Sampling.SampleResponse, ProtobufDecodeError> =>
  read("SampleResponse", bytes, sample.decode)
