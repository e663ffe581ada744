/**
 * The protobuf form of the three messages with many numbers: forward-backward requests, their results, and samples.
 *
 * Encoding computes the size of a message first, so that it needs one allocation, and copies arrays as blocks. Decoding
 * returns views of the buffer wherever the data is aligned, so the buffer must not be modified afterwards.
 *
 * Nothing here throws: what cannot be encoded or decoded is on the left.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Datum from "./Datum.ts"
import * as output from "./internal/protobuf/output.ts"
import { Malformed } from "./internal/protobuf/reader.ts"
import * as message from "./internal/protobuf/requestMessage.ts"
import * as requestRead from "./internal/protobuf/requestRead.ts"
import { datumSize as sizeOfDatum } from "./internal/protobuf/requestSize.ts"
import * as requestWrite from "./internal/protobuf/requestWrite.ts"
import * as sample from "./internal/protobuf/sample.ts"
import { Texts } from "./internal/protobuf/writer.ts"
import type * as Sampling from "./Sampling.ts"
import * as TensorData from "./TensorData.ts"
import type * as Training from "./Training.ts"

/**
 * The media type of protobuf bodies.
 *
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
 * A value that protobuf cannot represent; `path` leads to it.
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
 * Bytes that do not decode: `Truncated` when they end too early, `Malformed` when they are not protobuf, `Value` when a
 * field has a value that the message does not allow.
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
 * A forward-backward request, or a forward request with `forward_only`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ForwardBackwardMessage extends Training.ForwardBackwardRequest {
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
 * Encodes a forward-backward request. A missing `seq_id` is written as 0, which servers reject. Fails on a pointer to an
 * image, and on a tensor whose shape or indices do not fit its data.
 *
 * The bytes are written into `into` if that is large enough, and otherwise into a new buffer. Allocating a buffer of many
 * megabytes costs several times as much as writing it, so a caller that sends many requests should reuse buffers.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encodeForwardBackwardRequest = (
  request: ForwardBackwardMessage,
  options?: { readonly into?: Uint8Array | undefined }
): Either.Either<Uint8Array, ProtobufEncodeError> => {
  const { data, loss_fn, loss_fn_config } = request.forward_backward_input
  const fields: message.ForwardBackwardMessage = {
    model_id: request.model_id,
    seq_id: request.seq_id ?? 0,
    data,
    loss_fn,
    loss_fn_config: loss_fn_config ?? {},
    forward_only: request.forward_only ?? false
  }
  const problem = message.problem(fields)
  return problem === undefined
    ? Either.right(requestWrite.encode(fields, options?.into))
    : Either.left(new ProtobufEncodeError(problem))
}

/**
 * Decodes a forward-backward request. A `seq_id` of 0 and a config without entries decode to absent.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decodeForwardBackwardRequest = (
  bytes: Uint8Array
): Either.Either<ForwardBackwardMessage & { readonly forward_only: boolean }, ProtobufDecodeError> =>
  read("ForwardBackwardRequest", bytes, (bytes) => {
    const { data, forward_only, loss_fn, loss_fn_config, model_id, seq_id } = requestRead.decode(bytes)
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
 * The exact size of a datum in a request, in bytes. The client splits batches into chunks by it.
 *
 * @since 0.1.0
 * @category encoding
 */
export const datumSize = (datum: Datum.Datum): number => sizeOfDatum(datum, new Texts())

/**
 * Encodes the result of a forward-backward. Outputs with the same names, dtypes and trailing shapes share a record; sparse
 * tensors become dense. Fails on a tensor whose shape does not fit its data.
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
 * Decodes the result of a forward-backward. int32 decodes to int64 and bfloat16 to float32. The tensors of one field share
 * a buffer.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decodeForwardBackwardOutput = (
  bytes: Uint8Array
): Either.Either<Training.ForwardBackwardOutput, ProtobufDecodeError> =>
  read("ForwardBackwardOutput", bytes, output.decode)

/**
 * Encodes a sample, without the ids of its sequences. Fails on a stop reason that protobuf has no number for, and on a
 * tensor whose shape or indices do not fit its data.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encodeSampleResponse = (
  response: Sampling.SampleResponse
): Either.Either<Uint8Array, ProtobufEncodeError> => {
  const problem = sample.problem(response)
  return problem === undefined ? Either.right(sample.encode(response)) : Either.left(new ProtobufEncodeError(problem))
}

/**
 * Decodes a sample. Logprobs without values decode to absent; `NaN` means that a position has no logprob.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decodeSampleResponse = (bytes: Uint8Array): Either.Either<Sampling.SampleResponse, ProtobufDecodeError> =>
  read("SampleResponse", bytes, sample.decode)
