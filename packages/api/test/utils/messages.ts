/** Arbitraries of the messages that protobuf can carry, and the same messages for the generated code. */
import { create, type MessageInitShape } from "@bufbuild/protobuf"
import type * as Datum from "@effect-tinker/api/Datum"
import type * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as TensorData from "@effect-tinker/api/TensorData"
import type * as Training from "@effect-tinker/api/Training"
import * as Arbitrary from "effect/Arbitrary"
import * as FastCheck from "fast-check"
import * as Gen from "../gen/tinker_public_pb.ts"

const name = FastCheck.string({ minLength: 1, maxLength: 6, unit: "binary" }).filter((key) => key !== "__proto__")
const natural = (max: number) => FastCheck.integer({ min: 0, max })
const bytes = FastCheck.uint8Array({ maxLength: 12 })
const float = FastCheck.float({ noDefaultInfinity: true })
const floats = (options: FastCheck.ArrayConstraints) => FastCheck.array(float, options).map((v) => Float32Array.from(v))
const int32s = (options: FastCheck.ArrayConstraints) =>
  FastCheck.array(FastCheck.integer(), options).map((v) => Int32Array.from(v))

/** Protobuf cannot distinguish a shape without dimensions from no shape. */
export const tensor = Arbitrary.make(TensorData.TensorDataFromSelf).map((tensor): TensorData.TensorData =>
  tensor.shape?.length === 0 ? { ...tensor, shape: undefined } : tensor
)

const optional = <A>(arbitrary: FastCheck.Arbitrary<A>) => FastCheck.option(arbitrary, { nil: undefined })

const chunk: FastCheck.Arbitrary<ModelInput.Chunk> = FastCheck.oneof(
  int32s({ maxLength: 6 }).map((tokens) => ({ type: "encoded_text" as const, tokens })),
  FastCheck.record({
    type: FastCheck.constant("image" as const),
    data: bytes,
    format: FastCheck.constantFrom("png" as const, "jpeg" as const),
    expected_tokens: optional(natural(0x7fffffff)),
    override_dimensions: optional(FastCheck.record({ width: natural(9000), height: natural(9000) }))
  }),
  bytes.map((dmel) => ({ type: "dmel" as const, dmel }))
)

const span: FastCheck.Arbitrary<Datum.Span> = FastCheck.record({
  type: FastCheck.constantFrom("prompt" as const, "sampled" as const),
  sequence_id: name,
  offset: FastCheck.maxSafeNat(),
  length: natural(1000)
})

const datum: FastCheck.Arbitrary<Datum.Datum> = FastCheck.record({
  model_input: FastCheck.record({ chunks: FastCheck.array(chunk, { maxLength: 3 }) }),
  loss_fn_inputs: FastCheck.dictionary(name, tensor, { maxKeys: 3, noNullPrototype: true }),
  spans: optional(
    FastCheck.tuple(FastCheck.array(span, { minLength: 1, maxLength: 3 }), FastCheck.array(span, { maxLength: 3 }))
  )
}).map(({ spans, ...rest }) =>
  spans === undefined ? rest : { ...rest, model_input_spans: spans[0], loss_fn_input_spans: spans[1] }
)

/** A forward-backward request. */
export const request: FastCheck.Arbitrary<ProtobufCodec.ForwardBackwardMessage> = FastCheck.record({
  forward_backward_input: FastCheck.record({
    data: FastCheck.array(datum, { maxLength: 4 }),
    loss_fn: FastCheck.string(),
    loss_fn_config: optional(
      FastCheck.dictionary(name, FastCheck.oneof(FastCheck.double(), FastCheck.string({ unit: "binary" })), {
        minKeys: 1,
        maxKeys: 3,
        noNullPrototype: true
      })
    )
  }),
  model_id: FastCheck.string({ unit: "binary" }),
  seq_id: optional(FastCheck.integer({ min: 1, max: 0x7fffffff })),
  forward_only: FastCheck.boolean()
})

/** The tensors of one datum's output: dense, with one or more dimensions, none of them 0. */
const datumOutput = FastCheck.integer({ min: 1, max: 4 }).chain((columns) =>
  FastCheck.dictionary(
    FastCheck.constantFrom("logprobs", "elementwise_loss", "ids", "größe"),
    FastCheck.oneof(
      floats({ maxLength: 6 }).map((data): TensorData.TensorData => ({ dtype: "float32", data, shape: [data.length] })),
      FastCheck.array(FastCheck.integer(), { minLength: columns, maxLength: columns }).map(
        (row): TensorData.TensorData => ({ dtype: "int64", data: Int32Array.from(row), shape: [1, columns] })
      ),
      FastCheck.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }).map((value): TensorData.TensorData => ({
        dtype: "int64",
        data: BigInt64Array.of(2n ** 50n, value),
        shape: [2]
      }))
    ),
    { maxKeys: 3, noNullPrototype: true }
  )
)

/** The result of a forward-backward. */
export const output: FastCheck.Arbitrary<Training.ForwardBackwardOutput> = FastCheck.record({
  loss_fn_output_type: FastCheck.constantFrom("ArrayRecord", "CrossEntropyLossReturn"),
  // Consecutive outputs with the same signature share a record.
  loss_fn_outputs: FastCheck.array(FastCheck.tuple(datumOutput, natural(3)), { maxLength: 4 }).map((runs) =>
    runs.flatMap(([output, more]) => Array.from({ length: more + 1 }, () => output))
  ),
  metrics: FastCheck.dictionary(name, FastCheck.double(), { maxKeys: 3, noNullPrototype: true })
})

/** Rows that are not empty start with a token other than the filler. */
const topk: FastCheck.Arbitrary<Sampling.TopkLogprobs> = FastCheck.array(
  FastCheck.option(
    FastCheck.array(
      FastCheck.tuple(FastCheck.integer({ min: 1, max: 0x7fffffff }), FastCheck.float({ noNaN: true, max: 0 })),
      { minLength: 1, maxLength: 3 }
    )
  ),
  { minLength: 1, maxLength: 4 }
)

/** The result of a sample. */
export const sample: FastCheck.Arbitrary<Sampling.SampleResponse> = FastCheck.record({
  sequences: FastCheck.array(
    FastCheck.record({
      stop_reason: FastCheck.constantFrom("stop" as const, "length" as const),
      tokens: int32s({ maxLength: 6 }),
      logprobs: optional(floats({ minLength: 1, maxLength: 6 })),
      topk_logprobs: optional(topk)
    }),
    { maxLength: 3 }
  ),
  prompt_logprobs: optional(floats({ minLength: 1, maxLength: 6 })),
  topk_prompt_logprobs: optional(topk),
  target_prompt_logprobs: optional(tensor),
  prompt_alt_tokens: optional(FastCheck.record({ tokens: tensor, logprobs: tensor })),
  prompt_cache_hit_tokens: natural(0x7fffffff),
  type: FastCheck.constant("sample" as const)
})

const raw = (data: Int32Array | Float32Array | BigInt64Array): Uint8Array<ArrayBuffer> =>
  new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength)

const int64 = (data: ArrayLike<number | bigint>): Uint8Array<ArrayBuffer> =>
  raw(BigInt64Array.from(Array.from(data, BigInt)))

const values = (tensor: TensorData.TensorData) => (tensor.dtype === "float32" ? raw(tensor.data) : int64(tensor.data))

const genTensor = (tensor: TensorData.TensorData): MessageInitShape<typeof Gen.TensorSchema> => ({
  encoding: TensorData.isSparse(tensor)
    ? {
        case: "sparseCsr",
        value: {
          values: values(tensor),
          crowIndices: int64(tensor.sparse_crow_indices),
          colIndices: int64(tensor.sparse_col_indices)
        }
      }
    : { case: "dense", value: values(tensor) },
  dtype: tensor.dtype === "float32" ? Gen.DType.DTYPE_FLOAT32 : Gen.DType.DTYPE_INT64,
  shape: (tensor.shape ?? []).map(BigInt)
})

const genChunk = (chunk: ModelInput.Chunk): MessageInitShape<typeof Gen.ChunkSchema> => {
  switch (chunk.type) {
    case "encoded_text":
      return { chunk: { case: "encodedText", value: { tokens: raw(chunk.tokens) } } }
    case "dmel":
      return { chunk: { case: "dmel", value: { dmel: Uint8Array.from(chunk.dmel) } } }
    case "image":
      return {
        chunk: {
          case: "image",
          value: {
            data: Uint8Array.from(chunk.data),
            format: chunk.format,
            ...(chunk.expected_tokens === undefined ? {} : { expectedTokens: chunk.expected_tokens }),
            ...(chunk.override_dimensions === undefined ? {} : { overrideDimensions: chunk.override_dimensions })
          }
        }
      }
    case "image_asset_pointer":
      throw new Error("not in protobuf")
  }
}

const genSpan = (span: Datum.Span): MessageInitShape<typeof Gen.ProvenanceSpanSchema> => ({
  span: {
    case: span.type === "prompt" ? "promptTokens" : "sampledTokens",
    value: { sequenceId: span.sequence_id, offset: BigInt(span.offset), length: BigInt(span.length) }
  }
})

const mapValues = <A, B>(record: { readonly [name: string]: A }, f: (value: A) => B): { [name: string]: B } =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value)]))

export const genRequest = (request: ProtobufCodec.ForwardBackwardMessage): Gen.ForwardBackwardRequest => {
  const { data, loss_fn, loss_fn_config = {} } = request.forward_backward_input
  return create(Gen.ForwardBackwardRequestSchema, {
    modelId: request.model_id,
    seqId: request.seq_id ?? 0,
    data: data.map((datum) => ({
      modelInput: datum.model_input.chunks.map(genChunk),
      lossFnInputs: mapValues(datum.loss_fn_inputs, genTensor),
      modelInputSpans: (datum.model_input_spans ?? []).map(genSpan),
      lossFnInputSpans: (datum.loss_fn_input_spans ?? []).map(genSpan)
    })),
    lossFn: loss_fn,
    lossFnConfig: Object.fromEntries(
      Object.entries(loss_fn_config).filter((entry): entry is [string, number] => typeof entry[1] === "number")
    ),
    forwardOnly: request.forward_only ?? false,
    lossFnConfigV2: mapValues(loss_fn_config, (value) =>
      typeof value === "number"
        ? { value: { case: "number" as const, value } }
        : { value: { case: "text" as const, value } }
    )
  })
}

const genTopk = (topk: Sampling.TopkLogprobs): MessageInitShape<typeof Gen.TopkLogprobsSchema> => {
  const k = Math.max(1, ...topk.map((row) => row?.length ?? 0))
  const cells = topk.flatMap((row) => Array.from({ length: k }, (_, j) => row?.[j] ?? ([0, -99999] as const)))
  return {
    tokenIds: raw(Int32Array.from(cells, ([id]) => id)),
    logprobs: raw(Float32Array.from(cells, ([, logprob]) => logprob)),
    k,
    length: topk.length
  }
}

export const genSample = (response: Sampling.SampleResponse): Gen.SampleResponse => {
  const { prompt_alt_tokens: alt, prompt_logprobs, target_prompt_logprobs: target, topk_prompt_logprobs } = response
  return create(Gen.SampleResponseSchema, {
    sequences: response.sequences.map(({ logprobs, stop_reason, tokens, topk_logprobs }) => ({
      stopReason: stop_reason === "stop" ? Gen.StopReason.STOP : Gen.StopReason.LENGTH,
      tokens: raw(tokens),
      ...(logprobs === undefined ? {} : { logprobs: raw(logprobs) }),
      ...(topk_logprobs === undefined ? {} : { topkSampledLogprobs: genTopk(topk_logprobs) })
    })),
    ...(prompt_logprobs === undefined ? {} : { promptLogprobs: raw(prompt_logprobs) }),
    ...(topk_prompt_logprobs === undefined ? {} : { topkPromptLogprobs: genTopk(topk_prompt_logprobs) }),
    promptCacheHitTokens: response.prompt_cache_hit_tokens,
    ...(target === undefined ? {} : { targetPromptLogprobs: genTensor(target) }),
    ...(alt === undefined
      ? {}
      : { promptAltTokens: { tokens: genTensor(alt.tokens), logprobs: genTensor(alt.logprobs) } })
  })
}
