import { fromBinary, toBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import type * as TensorData from "@effect-tinker/api/TensorData"
import * as Either from "effect/Either"
import * as FastCheck from "fast-check"
import * as Gen from "./gen/tinker_public_pb.ts"
import * as messages from "./utils/messages.ts"
import { ok } from "./utils/either.ts"
import { same } from "./utils/same.ts"

const hex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/[0-9a-f]{2}/g)!, (pair) => Number.parseInt(pair, 16))

/** The same bytes at another position of a larger buffer, so that their alignment differs. */
const shifted = (bytes: Uint8Array, by: number): Uint8Array => {
  const out = new Uint8Array(bytes.length + by)
  out.set(bytes, by)
  return out.subarray(by)
}

const holds = <A>(arbitrary: FastCheck.Arbitrary<A>, check: (value: A) => void) =>
  FastCheck.assert(FastCheck.property(arbitrary, check), { numRuns: 300 })

describe("ForwardBackwardRequest", () => {
  it("decodes to the value that was encoded, at any alignment", () =>
    holds(messages.request, (request) => {
      const bytes = ok(ProtobufCodec.encodeForwardBackwardRequest(request))
      for (const by of [0, 1, 2, 3]) same(ok(ProtobufCodec.decodeForwardBackwardRequest(shifted(bytes, by))), request)
    }))

  it("encodes to the same bytes as the generated code", () =>
    holds(messages.request, (request) => {
      const ours = ok(ProtobufCodec.encodeForwardBackwardRequest(request))
      assert.deepStrictEqual(
        fromBinary(Gen.ForwardBackwardRequestSchema, ours),
        fromBinary(
          Gen.ForwardBackwardRequestSchema,
          toBinary(Gen.ForwardBackwardRequestSchema, messages.genRequest(request))
        )
      )
      assert.strictEqual(ours.length, toBinary(Gen.ForwardBackwardRequestSchema, messages.genRequest(request)).length)
    }))

  it("decodes the bytes of the generated code", () =>
    holds(messages.request, (request) =>
      same(
        ok(
          ProtobufCodec.decodeForwardBackwardRequest(
            toBinary(Gen.ForwardBackwardRequestSchema, messages.genRequest(request))
          )
        ),
        request
      )
    ))

  it("encodes a datum to the recorded bytes of the official client", () => {
    const datum = Datum.make({
      model_input: [1, 2, 3],
      loss_fn_inputs: { weights: [0, 1, 1], target_tokens: [2, 3, 4] }
    })
    const bytes = ok(
      ProtobufCodec.encodeForwardBackwardRequest({
        forward_backward_input: { data: [datum], loss_fn: "ppo", loss_fn_config: { clip_low_threshold: 0.9 } },
        model_id: "sess-1:train:0",
        seq_id: 2
      })
    )
    const expected =
      "0a0e736573732d313a747261696e3a301002" +
      "1a640a100a0e0a0c010000000200000003000000" +
      "121e0a077765696768747312130a0c000000000000803f0000803f1801220103" +
      "12300a0d7461726765745f746f6b656e73121f0a18020000000000000003000000000000000400000000000000" +
      "1802220103" +
      "2203" +
      "70706f" +
      "2a1d0a12636c69705f6c6f775f7468726573686f6c6411cdccccccccccec3f" +
      "3a1f0a12636c69705f6c6f775f7468726573686f6c64120909cdccccccccccec3f"
    assert.deepStrictEqual(bytes, hex(expected))
    assert.strictEqual(ProtobufCodec.datumSize(datum), 0x64)
  })

  it("writes into the given buffer if that is large enough", () => {
    const request = {
      forward_backward_input: { data: [Datum.fromPromptCompletion([1, 2], [3, 4])], loss_fn: "cross_entropy" },
      model_id: "m",
      seq_id: 1
    }
    const fresh = ok(ProtobufCodec.encodeForwardBackwardRequest(request))
    const into = new Uint8Array(1000).fill(255)
    const written = ok(ProtobufCodec.encodeForwardBackwardRequest(request, { into }))
    assert.strictEqual(written.buffer, into.buffer)
    assert.deepStrictEqual(written, fresh)
    assert.notStrictEqual(
      ok(ProtobufCodec.encodeForwardBackwardRequest(request, { into: new Uint8Array(3) })).buffer.byteLength,
      3
    )
  })

  it("shares memory with the buffer if the tokens are aligned", () => {
    const tokens = Int32Array.from({ length: 64 }, (_, i) => i)
    const bytes = ok(
      ProtobufCodec.encodeForwardBackwardRequest({
        forward_backward_input: {
          data: [Datum.make({ model_input: tokens, loss_fn_inputs: {} })],
          loss_fn: "cross_entropy"
        },
        model_id: "m",
        seq_id: 1
      })
    )
    const shared = [0, 1, 2, 3].map((by) => {
      const moved = shifted(bytes, by)
      const { chunks } = ok(ProtobufCodec.decodeForwardBackwardRequest(moved)).forward_backward_input.data[0]!
        .model_input
      assert.deepStrictEqual(ModelInput.toTokens({ chunks }), tokens)
      return ModelInput.toTokens({ chunks }).buffer === moved.buffer
    })
    assert.strictEqual(shared.filter(Boolean).length, 1)
  })

  const bad: ReadonlyArray<readonly [string, Datum.Datum, string]> = [
    [
      "a pointer to an image",
      {
        model_input: ModelInput.make(ModelInput.imageAssetPointer({ format: "png", location: "x" })),
        loss_fn_inputs: {}
      },
      "data[0].model_input.chunks[0]"
    ],
    [
      "a shape that does not fit",
      {
        model_input: ModelInput.empty,
        loss_fn_inputs: { weights: { dtype: "float32", data: new Float32Array(3), shape: [2] } }
      },
      "data[0].loss_fn_inputs.weights"
    ],
    [
      "row pointers without column indices",
      {
        model_input: ModelInput.empty,
        loss_fn_inputs: {
          weights: {
            dtype: "float32",
            data: new Float32Array(3),
            shape: [2, 2],
            sparse_crow_indices: new Int32Array(3)
          }
        }
      },
      "data[0].loss_fn_inputs.weights"
    ],
    [
      "a span with a negative offset",
      {
        model_input: ModelInput.empty,
        loss_fn_inputs: {},
        model_input_spans: [{ type: "prompt", sequence_id: "s", offset: -1, length: 2 }],
        loss_fn_input_spans: []
      },
      "data[0].model_input_spans[0]"
    ]
  ]
  it.each(bad)("rejects %s, with the path to it", (_name, datum, path) => {
    const result = ProtobufCodec.encodeForwardBackwardRequest({
      forward_backward_input: { data: [datum], loss_fn: "x" },
      model_id: "m",
      seq_id: 1
    })
    assert.isTrue(Either.isLeft(result))
    if (Either.isLeft(result)) {
      assert.strictEqual(result.left._tag, "ProtobufEncodeError")
      assert.strictEqual(result.left.path, path)
    }
  })

  it.each([-1, 1.5, 2 ** 31])("rejects the seq_id %d", (seq_id) => {
    const result = ProtobufCodec.encodeForwardBackwardRequest({
      forward_backward_input: { data: [], loss_fn: "x" },
      model_id: "m",
      seq_id
    })
    assert.isTrue(Either.isLeft(result) && result.left.path === "seq_id")
  })

  it("prefers loss_fn_config_v2, and reads loss_fn_config without it", () => {
    const read = (init: object) =>
      ok(
        ProtobufCodec.decodeForwardBackwardRequest(
          toBinary(
            Gen.ForwardBackwardRequestSchema,
            Object.assign(
              messages.genRequest({ forward_backward_input: { data: [], loss_fn: "x" }, model_id: "m" }),
              init
            )
          )
        )
      ).forward_backward_input.loss_fn_config
    assert.deepStrictEqual(read({ lossFnConfig: { beta: 0.5 } }), { beta: 0.5 })
    assert.strictEqual(read({}), undefined)
  })
})

describe("ForwardBackwardOutput", () => {
  it("decodes to the value that was encoded, at any alignment", () =>
    holds(messages.output, (output) => {
      const bytes = ok(ProtobufCodec.encodeForwardBackwardOutput(output))
      for (const by of [0, 1, 2, 3]) same(ok(ProtobufCodec.decodeForwardBackwardOutput(shifted(bytes, by))), output)
    }))

  it("is a valid message for the generated code", () =>
    holds(messages.output, (output) => {
      const bytes = ok(ProtobufCodec.encodeForwardBackwardOutput(output))
      const generated = fromBinary(Gen.ForwardBackwardOutputSchema, bytes)
      assert.strictEqual(
        generated.lossFnOutputs.reduce((sum, record) => sum + Number(record.numDatums), 0),
        output.loss_fn_outputs.length
      )
      same(ok(ProtobufCodec.decodeForwardBackwardOutput(toBinary(Gen.ForwardBackwardOutputSchema, generated))), output)
    }))

  const offsets = (...values: ReadonlyArray<number>) =>
    new Uint8Array(BigInt64Array.from(values, BigInt).buffer as ArrayBuffer)
  const float = (...values: ReadonlyArray<number>) => new Uint8Array(Float32Array.from(values).buffer as ArrayBuffer)

  const decodeRecords = (...records: ReadonlyArray<object>) =>
    ProtobufCodec.decodeForwardBackwardOutput(
      toBinary(
        Gen.ForwardBackwardOutputSchema,
        fromBinary(
          Gen.ForwardBackwardOutputSchema,
          toBinary(Gen.ForwardBackwardOutputSchema, {
            $typeName: "tinker_public.ForwardBackwardOutput",
            lossFnOutputType: "module.path:ArrayRecord",
            lossFnOutputs: records.map((record) => ({
              $typeName: "tinker_public.ArrayRecord",
              typeTag: "",
              fields: {},
              numDatums: 0n,
              ...record
            })) as Array<Gen.ArrayRecord>,
            metrics: {}
          })
        )
      )
    )

  const batch = (dtype: Gen.DType, data: Uint8Array, ends: Uint8Array, trailing: ReadonlyArray<number> = []) => ({
    $typeName: "tinker_public.BatchedTensor",
    data,
    offsets: ends,
    dtype,
    trailingShape: trailing.map(BigInt)
  })

  it("keeps the part of the type after its last colon, and defaults to ArrayRecord", () => {
    assert.strictEqual(ok(decodeRecords({ numDatums: 1n })).loss_fn_output_type, "ArrayRecord")
    assert.strictEqual(ok(decodeRecords()).loss_fn_output_type, "module.path:ArrayRecord")
    assert.strictEqual(
      ok(ProtobufCodec.decodeForwardBackwardOutput(new Uint8Array(0))).loss_fn_output_type,
      "ArrayRecord"
    )
  })

  it("widens bfloat16 and int32", () => {
    const bfloat16 = new Uint8Array(Uint16Array.of(0x3f80, 0xc000, 0x7fc0).buffer as ArrayBuffer)
    const int32 = new Uint8Array(Int32Array.of(-1, 5).buffer as ArrayBuffer)
    const { loss_fn_outputs } = ok(
      decodeRecords({
        fields: {
          a: batch(Gen.DType.DTYPE_BFLOAT16, bfloat16, offsets(0, 4, 6)),
          b: batch(Gen.DType.DTYPE_INT32, int32, offsets(0, 4, 8))
        },
        numDatums: 2n
      })
    )
    same(loss_fn_outputs, [
      {
        a: { dtype: "float32", data: Float32Array.of(1, -2), shape: [2] },
        b: { dtype: "int64", data: Int32Array.of(-1), shape: [1] }
      },
      {
        a: { dtype: "float32", data: Float32Array.of(Number.NaN), shape: [1] },
        b: { dtype: "int64", data: Int32Array.of(5), shape: [1] }
      }
    ])
  })

  it("concatenates ragged records, and counts datums without fields", () => {
    const { loss_fn_outputs } = ok(
      decodeRecords(
        { fields: { x: batch(Gen.DType.DTYPE_FLOAT32, float(1, 2, 3, 4), offsets(0, 16), [2]) } },
        { fields: { x: batch(Gen.DType.DTYPE_FLOAT32, float(5, 6, 7), offsets(0, 12), [3]) }, numDatums: 1n },
        { numDatums: 2n }
      )
    )
    same(loss_fn_outputs, [
      { x: { dtype: "float32", data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] } },
      { x: { dtype: "float32", data: Float32Array.of(5, 6, 7), shape: [1, 3] } },
      {},
      {}
    ])
  })

  const broken: ReadonlyArray<readonly [string, object]> = [
    ["an unspecified dtype", { fields: { x: batch(Gen.DType.DTYPE_UNSPECIFIED, float(1), offsets(0, 4)) } }],
    ["an unknown dtype", { fields: { x: batch(9 as Gen.DType, float(1), offsets(0, 4)) } }],
    ["an offset beyond the data", { fields: { x: batch(Gen.DType.DTYPE_FLOAT32, float(1), offsets(0, 8)) } }],
    ["decreasing offsets", { fields: { x: batch(Gen.DType.DTYPE_FLOAT32, float(1, 2), offsets(4, 0)) } }],
    ["a negative offset", { fields: { x: batch(Gen.DType.DTYPE_FLOAT32, float(1, 2), offsets(-4, 0)) } }],
    ["an offset inside a value", { fields: { x: batch(Gen.DType.DTYPE_FLOAT32, float(1, 2), offsets(0, 3)) } }],
    ["an incomplete row", { fields: { x: batch(Gen.DType.DTYPE_FLOAT32, float(1, 2), offsets(0, 8), [3]) } }],
    ["half a value", { fields: { x: batch(Gen.DType.DTYPE_FLOAT32, float(1).subarray(1), offsets(0)) } }],
    [
      "fewer pieces than datums",
      { fields: { x: batch(Gen.DType.DTYPE_FLOAT32, float(1), offsets(0, 4)) }, numDatums: 2n }
    ],
    ["more datums than the limit", { numDatums: 2n ** 50n }],
    ["a negative number of datums", { numDatums: -1n }]
  ]
  it.each(broken)("rejects %s", (_name, record) => {
    const result = decodeRecords(record)
    assert.isTrue(Either.isLeft(result))
    if (Either.isLeft(result)) {
      assert.strictEqual(result.left._tag, "ProtobufDecodeError")
      assert.strictEqual(result.left.reason, "Value")
    }
  })

  it("decodes the tensors of a field to views of one array", () => {
    const data = Float32Array.from({ length: 100 }, (_, i) => -i)
    const tensor: TensorData.TensorData = { dtype: "float32", data, shape: [100] }
    const { loss_fn_outputs } = ok(
      ProtobufCodec.decodeForwardBackwardOutput(
        ok(
          ProtobufCodec.encodeForwardBackwardOutput({
            loss_fn_output_type: "x",
            loss_fn_outputs: [{ logprobs: tensor }, { logprobs: tensor }],
            metrics: {}
          })
        )
      )
    )
    const [a, b] = loss_fn_outputs.map((output) => output["logprobs"]!.data)
    assert.deepStrictEqual(a, data)
    assert.strictEqual(a!.buffer, b!.buffer)
  })
})

describe("SampleResponse", () => {
  it("decodes to the value that was encoded, at any alignment", () =>
    holds(messages.sample, (response) => {
      const bytes = ok(ProtobufCodec.encodeSampleResponse(response))
      for (const by of [0, 1, 2, 3]) same(ok(ProtobufCodec.decodeSampleResponse(shifted(bytes, by))), response)
    }))

  it("encodes to the same bytes as the generated code", () =>
    holds(messages.sample, (response) =>
      assert.deepStrictEqual(
        ok(ProtobufCodec.encodeSampleResponse(response)),
        toBinary(Gen.SampleResponseSchema, messages.genSample(response))
      )
    ))

  it("decodes empty logprobs to absent, and drops the filler cells of a top-k row", () => {
    const bytes = toBinary(Gen.SampleResponseSchema, {
      ...messages.genSample({ sequences: [], prompt_cache_hit_tokens: 3, type: "sample" }),
      promptLogprobs: new Uint8Array(0),
      topkPromptLogprobs: {
        $typeName: "tinker_public.TopkLogprobs",
        tokenIds: new Uint8Array(Int32Array.of(0, 0, 7, 0, 0, 8).buffer as ArrayBuffer),
        logprobs: new Uint8Array(Float32Array.of(-99999, -99999, -0.5, -99999, -1, -2).buffer as ArrayBuffer),
        k: 2,
        length: 3
      }
    })
    same(ok(ProtobufCodec.decodeSampleResponse(bytes)), {
      sequences: [],
      topk_prompt_logprobs: [
        null,
        [[7, -0.5]],
        [
          [0, -1],
          [8, -2]
        ]
      ],
      prompt_cache_hit_tokens: 3,
      type: "sample"
    })
  })

  it("rejects an unknown stop reason, in both directions", () => {
    const unknown = toBinary(Gen.SampleResponseSchema, {
      ...messages.genSample({ sequences: [], prompt_cache_hit_tokens: 0, type: "sample" }),
      sequences: [
        {
          $typeName: "tinker_public.SampledSequence",
          stopReason: 2 as Gen.StopReason,
          tokens: new Uint8Array(0)
        }
      ]
    })
    const read = ProtobufCodec.decodeSampleResponse(unknown)
    assert.isTrue(Either.isLeft(read) && read.left.reason === "Value")
    const written = ProtobufCodec.encodeSampleResponse({
      sequences: [{ stop_reason: "tool", tokens: new Int32Array(0) }],
      prompt_cache_hit_tokens: 0,
      type: "sample"
    })
    assert.isTrue(Either.isLeft(written) && written.left.path === "sequences[0].stop_reason")
  })

  it("merges a message that occurs twice", () => {
    const half = (response: Parameters<typeof messages.genSample>[0]) =>
      toBinary(Gen.SampleResponseSchema, messages.genSample(response))
    const base = { sequences: [], prompt_cache_hit_tokens: 0, type: "sample" as const }
    const both = Uint8Array.of(
      ...half({ ...base, sequences: [{ stop_reason: "stop", tokens: Int32Array.of(1) }] }),
      ...half({ ...base, sequences: [{ stop_reason: "length", tokens: Int32Array.of(2) }], prompt_cache_hit_tokens: 4 })
    )
    same(ok(ProtobufCodec.decodeSampleResponse(both)), {
      sequences: [
        { stop_reason: "stop", tokens: Int32Array.of(1) },
        { stop_reason: "length", tokens: Int32Array.of(2) }
      ],
      prompt_cache_hit_tokens: 4,
      type: "sample"
    })
  })

  it("skips unknown fields of every wire type", () => {
    const extra = hex("f80101" + "f901" + "0000000000000000" + "fa0102aabb" + "fd01" + "00000000" + "fb010801fc01")
    const known = ok(ProtobufCodec.encodeSampleResponse({ sequences: [], prompt_cache_hit_tokens: 9, type: "sample" }))
    same(ok(ProtobufCodec.decodeSampleResponse(Uint8Array.of(...extra, ...known, ...extra))), {
      sequences: [],
      prompt_cache_hit_tokens: 9,
      type: "sample"
    })
  })
})

describe("bytes that are not a message", () => {
  const decoders = [
    ProtobufCodec.decodeForwardBackwardRequest,
    ProtobufCodec.decodeForwardBackwardOutput,
    ProtobufCodec.decodeSampleResponse
  ] as const

  const survives = (bytes: Uint8Array) => {
    for (const decode of decoders) {
      const result: Either.Either<unknown, ProtobufCodec.ProtobufDecodeError> = decode(bytes)
      if (Either.isLeft(result)) assert.strictEqual(result.left._tag, "ProtobufDecodeError")
    }
    // Audio chunks contain a format of their own.
    ModelInput.containerShape(bytes)
  }

  it("fail to decode with a typed error (10,000 random buffers)", () =>
    FastCheck.assert(FastCheck.property(FastCheck.uint8Array({ maxLength: 200 }), survives), { numRuns: 10_000 }))

  it("fail to decode with a typed error (10,000 messages that are cut or have a changed byte)", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.oneof(
          messages.request.map((request) => ok(ProtobufCodec.encodeForwardBackwardRequest(request))),
          messages.output.map((output) => ok(ProtobufCodec.encodeForwardBackwardOutput(output))),
          messages.sample.map((response) => ok(ProtobufCodec.encodeSampleResponse(response)))
        ),
        FastCheck.nat(),
        FastCheck.nat(255),
        (bytes, at, value) => {
          if (bytes.length === 0) return
          survives(bytes.subarray(0, at % bytes.length))
          const changed = bytes.slice()
          changed[at % bytes.length] = value
          survives(changed)
        }
      ),
      { numRuns: 5_000 }
    ))

  const malformed: ReadonlyArray<readonly [string, string, string]> = [
    ["a field number of 0", "00", "Malformed"],
    ["a varint without end", "20ffffffffffffffffffff01", "Malformed"],
    ["a wire type that does not exist", "0f", "Malformed"],
    ["the end of a group without a start", "0c", "Malformed"],
    ["groups in groups in groups", "0b".repeat(500), "Malformed"],
    ["a group that does not end", "0b", "Truncated"],
    ["a length beyond the end", "0aff01", "Truncated"],
    ["a length above 2^32", "0affffffffff01", "Truncated"],
    ["a tag that stops", "80", "Truncated"]
  ]
  it.each(malformed)("fail to decode with a typed reason: %s", (_name, text, reason) => {
    const result = ProtobufCodec.decodeSampleResponse(hex(text))
    assert.isTrue(Either.isLeft(result))
    if (Either.isLeft(result)) assert.strictEqual(result.left.reason, reason)
  })

  it("fail to decode when a string is not UTF-8", () => {
    const result = ProtobufCodec.decodeForwardBackwardRequest(hex("0a02c328"))
    assert.isTrue(Either.isLeft(result) && result.left.reason === "Malformed")
  })
})
