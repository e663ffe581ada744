import { type DescEnum, type DescField, type DescMessage, fromBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import * as Audit from "@effect-tinker/api/Audit"
import * as Auth from "@effect-tinker/api/Auth"
import * as Billing from "@effect-tinker/api/Billing"
import * as Checkpoint from "@effect-tinker/api/Checkpoint"
import * as Datum from "@effect-tinker/api/Datum"
import * as Future from "@effect-tinker/api/Future"
import * as Model from "@effect-tinker/api/Model"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Pagination from "@effect-tinker/api/Pagination"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Sampling from "@effect-tinker/api/Sampling"
import * as Session from "@effect-tinker/api/Session"
import * as SessionSearch from "@effect-tinker/api/SessionSearch"
import * as Telemetry from "@effect-tinker/api/Telemetry"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as Training from "@effect-tinker/api/Training"
import * as TrainingRun from "@effect-tinker/api/TrainingRun"
import * as Weights from "@effect-tinker/api/Weights"
import * as Schema from "effect/Schema"
import * as Gen from "../gen/tinker_public_pb.ts"
import { ok } from "../utils/either.ts"
import { same } from "../utils/same.ts"
import * as wire from "../utils/wire.ts"

const Void = Schema.Undefined
const Nothing = Schema.Struct({})

/** The request and response bodies of each endpoint, by method and path. */
const endpoints: ReadonlyArray<readonly [RegExp, wire.AnySchema, wire.AnySchema]> = [
  [/^POST \/client\/config$/, Session.ClientConfigRequest, Session.ClientConfigResponse],
  [/^POST \/client\/dynamic_config$/, Session.ClientConfigRequest, Session.ClientDynamicConfigResponse],
  [/^POST \/auth\/token$/, Nothing, Auth.AuthTokenResponse],
  [/^GET \/auth\/apikey\/me$/, Void, Auth.ApiKeyResponse],
  [/^DELETE \/auth\/apikey\/me$/, Void, Void],
  [/^POST \/create_session$/, Session.CreateSessionRequest, Session.CreateSessionResponse],
  [/^POST \/sessions\/s-1\/finish$/, Session.FinishSessionRequest, Void],
  [/^POST \/telemetry$/, Telemetry.SendRequest, Telemetry.SendResponse],
  [/^GET \/get_server_capabilities$/, Void, Session.GetServerCapabilitiesResponse],
  [/^POST \/create_model$/, Model.CreateModelRequest, Future.FutureEnvelope],
  [/^POST \/get_info$/, Model.GetInfoRequest, Model.GetInfoResponse],
  [/^POST \/optim_step$/, Training.AnyOptimStepRequest, Future.FutureEnvelope],
  [/^POST \/save_weights$/, Weights.SaveWeightsRequest, Future.FutureEnvelope],
  [/^POST \/save_weights_for_sampler$/, Weights.SaveWeightsForSamplerRequest, Future.FutureEnvelope],
  [/^POST \/save_weights_external$/, Weights.SaveWeightsExternalRequest, Future.FutureEnvelope],
  [/^POST \/load_weights$/, Weights.AnyLoadWeightsRequest, Future.FutureEnvelope],
  [/^POST \/copy_weights$/, Weights.CopyWeightsRequest, Weights.CopyWeightsResponse],
  [/^POST \/weights_info$/, Weights.WeightsInfoRequest, Weights.WeightsInfoResponse],
  [/^POST \/create_sampling_session$/, Sampling.CreateSamplingSessionRequest, Sampling.CreateSamplingSessionResponse],
  [/^POST \/join_sampling_session$/, Sampling.JoinSamplingSessionRequest, Sampling.JoinSamplingSessionResponse],
  [/^POST \/asample$/, Sampling.SampleRequest, Future.FutureEnvelope],
  [/^POST \/retrieve_futures$/, Future.RetrieveFuturesRequest, Future.RetrieveFuturesResponse],
  [/^POST \/cancel_future$/, Future.CancelFutureRequest, Void],
  [/^GET \/samplers\//, Void, Sampling.GetSamplerResponse],
  [/^GET \/training_runs$/, Void, TrainingRun.TrainingRunsResponse],
  [/^GET \/training_runs\/[^/]+$/, Void, TrainingRun.TrainingRun],
  [/^GET (\/training_runs\/[^/]+)?\/checkpoints$/, Void, Checkpoint.CheckpointsListResponse],
  [/external_weights_urls$/, Void, Weights.ExternalWeightsUrlsResponse],
  [/^PUT .*\/ttl$/, Checkpoint.SetTtlRequest, Void],
  [/^(DELETE|POST) \/training_runs\//, Void, Void],
  [/^GET \/sessions$/, Void, Session.ListSessionsResponse],
  [/^POST \/sessions\/search$/, SessionSearch.SessionSearchRequest, SessionSearch.SessionSearchResponse],
  [/^PUT \/sessions\/s-1\/project$/, Session.AssignSessionProjectRequest, Void],
  [/^GET \/sessions\/s-1\/trace_export$/, Void, Session.TraceExportResponse],
  [/^GET \/sessions\/s-1$/, Void, Session.GetSessionResponse],
  [/^GET \/audit$/, Void, Audit.AuditLogResponse],
  [/^GET \/billing\/usage\/events$/, Void, Billing.UsageResponse],
  [/^GET \/billing\/usage\/checkpoints\/current$/, Void, Billing.StorageUsageResponse]
]

/** The queries of the endpoints that have one. */
const queries: ReadonlyArray<readonly [RegExp, wire.AnySchema]> = [
  [/^\/audit$/, Audit.Params],
  [/^\/billing\/usage\/events$/, Billing.UsageParams],
  [/^\/checkpoints$/, Pagination.Page]
]

/** The results of futures, by request type. */
const results: { readonly [type: string]: wire.AnySchema } = {
  CreateModel: Model.CreateModelResponse,
  OptimStep: Training.OptimStepResponse,
  SaveWeights: Weights.SaveWeightsResponse,
  SaveWeightsForSampler: Weights.SaveWeightsForSamplerResponse,
  SaveWeightsExternal: Weights.SaveWeightsExternalResponse,
  LoadWeights: Weights.LoadWeightsResponse
}

const json = (exchange: wire.Exchange) => exchange.request.json
const sent = wire.exchanges.filter(({ request }) => request?.path !== undefined)
const named = (exchanges: ReadonlyArray<wire.Exchange>) =>
  exchanges.map((exchange) => [exchange.name, exchange] as const)

const bodies = named(sent.filter(({ request }) => !/forward_backward|retrieve_future$/.test(request.path)))
// Zstd.test.ts reads the compressed request.
const trainingRequests = named(
  sent.filter(({ request }) => request.path === "/forward_backward" && !("content-encoding" in request.headers))
)
const polls = named(sent.filter(({ request }) => request.path === "/retrieve_future"))

const schemasOf = ({ request }: wire.Exchange) => {
  const found = endpoints.find(([pattern]) => pattern.test(`${request.method} ${request.path}`))
  if (found === undefined) throw new Error(`no schema for ${request.method} ${request.path}`)
  return found
}

/** The value as JSON, with times in whole seconds. */
const plain = (u: unknown): unknown => {
  if (typeof u === "string" && /^\d{4}-\d\d-\d\dT/.test(u)) return u.replace(/(\.\d+)?(Z|\+00:00)$/, "Z")
  if (typeof u === "bigint") return Number(u)
  if (typeof u === "number") return Number.isNaN(u) ? null : u
  if (ArrayBuffer.isView(u)) return Array.from(u as unknown as ArrayLike<number | bigint>, plain)
  if (Array.isArray(u)) return u.map(plain)
  if (typeof u !== "object" || u === null) return u
  return Object.fromEntries(Object.entries(u).map(([key, value]) => [key, plain(value)]))
}

/** Fails unless `ours` contains `theirs`. `null` means absent, and the `type` of a body may be missing. */
const assertContains = (ours: unknown, theirs: unknown, path = "value"): void => {
  if (theirs === null || theirs === undefined) {
    assert.isTrue(ours === null || ours === undefined, `${path} should be absent`)
  } else if (Array.isArray(theirs)) {
    assert.isTrue(Array.isArray(ours), path)
    assert.strictEqual((ours as Array<unknown>).length, theirs.length, path)
    theirs.forEach((item, i) => assertContains((ours as Array<unknown>)[i], item, `${path}[${i}]`))
  } else if (typeof theirs === "object") {
    for (const [key, value] of Object.entries(theirs)) {
      if (key === "type" && !Object.hasOwn(ours as object, key)) continue
      assertContains((ours as Record<string, unknown> | undefined)?.[key], value, `${path}.${key}`)
    }
  } else assert.deepStrictEqual(ours, theirs, path)
}

describe("the JSON bodies of the official client", () => {
  it.each(bodies)("encode to the recorded request after decoding it: %s", (_name, exchange) => {
    const [, schema] = schemasOf(exchange)
    if (json(exchange) === undefined) return assert.strictEqual(schema, Void)
    const value = Schema.decodeUnknownSync(schema)(json(exchange))
    const written = JSON.parse(JSON.stringify(Schema.encodeSync(schema)(value)))
    assert.deepStrictEqual(plain(written), plain(json(exchange)))
  })

  it.each(bodies)("decode to the response that the Python types hold: %s", (_name, exchange) => {
    const [, , schema] = schemasOf(exchange)
    const { response, value } = exchange
    if (response.json === undefined) return assert.strictEqual(schema, Void)
    const ours = Schema.encodeSync(schema)(Schema.decodeUnknownSync(schema)(response.json))
    // `compute_logprobs` is a sample, whose recorded value is its result.
    if (typeof value !== "object" || exchange.request.path === "/asample") return
    // The official client drops the part after the colon.
    const id = (ours as Partial<typeof Model.GetInfoResponse.Encoded>).model_data?.tokenizer_id?.split(":")[0]
    assertContains(
      plain(id === undefined ? ours : { ...ours, model_data: { ...ours.model_data, tokenizer_id: id } }),
      plain(value)
    )
  })

  it.each(named(sent.filter(({ request }) => queries.some(([pattern]) => pattern.test(request.path)))))(
    "encode to the recorded query after decoding it: %s",
    (_name, { request }) => {
      const schema = queries.find(([pattern]) => pattern.test(request.path))![1]
      const written = Schema.encodeSync(schema)(Schema.decodeUnknownSync(schema)(request.query))
      assert.deepStrictEqual(plain(written), plain(request.query))
    }
  )
})

describe("the protobuf requests of the official client", () => {
  it.each(trainingRequests)("encode to the recorded bytes after decoding them: %s", (_name, exchange) => {
    const bytes = wire.bytes(exchange.request)
    const request = ok(ProtobufCodec.decodeForwardBackwardRequest(bytes))
    assert.deepStrictEqual(ok(ProtobufCodec.encodeForwardBackwardRequest(request)), bytes)
  })

  const tokens = (values: ReadonlyArray<number>) => ({
    model_input: values,
    loss_fn_inputs: {
      target_tokens: values.map((token) => token + 1),
      weights: values.map((_, i) => (i === 0 ? 0 : 1))
    }
  })
  const bytes256 = Uint8Array.from([...Array.from({ length: 256 }, (_, i) => i), 0x89, 0x50, 0x4e, 0x47])
  const audio = Uint8Array.from([3, 2, 5, 2, ...Array.from({ length: 10 }, () => 0)])
  const policy = Datum.make({
    model_input: [1, 2, 3],
    loss_fn_inputs: { target_tokens: [2, 3, 4], logprobs: [-0.5, -0.25, -1], advantages: [1, -1, 0.5] }
  })
  const mixed = Datum.make({
    model_input: ModelInput.make(
      ModelInput.text([1, 2]),
      ModelInput.image({ data: bytes256, format: "png", expected_tokens: 4 }),
      ModelInput.image({ data: bytes256.subarray(0, 5), format: "jpeg" }),
      ModelInput.dmel(audio),
      ModelInput.text([])
    ),
    loss_fn_inputs: {
      target_tokens: Array.from({ length: 11 }, () => 0),
      weights: Array.from({ length: 11 }, () => 0)
    }
  })
  const span = { type: "sampled" as const, sequence_id: "s-1:sample:0:0:0", offset: 0 }

  /** The data that interop/scenarios.py passes to the official client. */
  const ours: ReadonlyArray<readonly [string, number, boolean, Training.ForwardBackwardInput]> = [
    [
      "cross entropy",
      1,
      false,
      { data: [Datum.make(tokens([1, 2, 3])), Datum.make(tokens([70000, 5, 6, 7]))], loss_fn: "cross_entropy" }
    ],
    ["forward", 2, true, { data: [Datum.make(tokens([1, 2, 3]))], loss_fn: "cross_entropy" }],
    [
      "ppo with a config",
      4,
      false,
      { data: [policy], loss_fn: "ppo", loss_fn_config: { clip_low_threshold: 0.9, clip_high_threshold: 1.1 } }
    ],
    [
      "a config with text",
      5,
      false,
      { data: [policy], loss_fn: "custom", loss_fn_config: { loss_id: "l-1", beta: 0.05 } }
    ],
    ["every chunk", 6, false, { data: [mixed, mixed], loss_fn: "cross_entropy" }],
    [
      "sparse and two-dimensional tensors",
      7,
      false,
      {
        data: [
          Datum.make({
            model_input: [1, 2, 3],
            loss_fn_inputs: {
              target_tokens: TensorData.sparsify(
                TensorData.int64([
                  [0, 0, 0, 0, 2 ** 40, 0, 0, 0],
                  [0, 0, 0, 0, 0, 0, 0, 0],
                  [7, 0, 0, 0, 0, 0, 0, 0]
                ])
              ),
              weights: [
                [0.5, 0.5],
                [0.5, 0.5],
                [0.5, 0.5]
              ]
            }
          })
        ],
        loss_fn: "cross_entropy"
      }
    ],
    [
      "provenance",
      8,
      false,
      {
        data: [
          Datum.withProvenance(Datum.make(tokens([1, 2, 3])), {
            model_input: [
              { ...span, type: "prompt", offset: 2, length: 2 },
              { ...span, length: 1 }
            ],
            loss_fn_inputs: [{ ...span, length: 3 }]
          })
        ],
        loss_fn: "stable_reinforce",
        loss_fn_config: { kl_coeff: 0.1 }
      }
    ]
  ]
  it.each(ours)("encode to the recorded message from the same data: %s", (name, seq_id, forward_only, input) => {
    const written = ok(
      ProtobufCodec.encodeForwardBackwardRequest({
        forward_backward_input: input,
        model_id: "s-1:train:0",
        seq_id,
        forward_only
      })
    )
    const read = (bytes: Uint8Array) => fromBinary(Gen.ForwardBackwardRequestSchema, bytes)
    assert.deepStrictEqual(read(written), read(wire.bytes(wire.exchange(name).request)))
    same(
      ok(ProtobufCodec.decodeForwardBackwardRequest(wire.bytes(wire.exchange(name).request))).forward_backward_input,
      input
    )
  })
})

describe("the polls of the official client", () => {
  it.each(polls)("encode to the recorded poll after decoding it: %s", (_name, exchange) => {
    const value = Schema.decodeUnknownSync(Future.RetrieveFutureRequest)(json(exchange))
    assert.deepStrictEqual(Schema.encodeSync(Future.RetrieveFutureRequest)(value), json(exchange))
  })

  const of = (...types: ReadonlyArray<string>) =>
    named(
      polls
        .map(([, exchange]) => exchange)
        .filter(
          ({ request, response }) =>
            response.base64 !== undefined && types.includes(request.headers["x-tinker-request-type"]!)
        )
    )

  it.each(of("Forward", "ForwardBackward"))(
    "decode to the result that the Python types hold: %s",
    (_name, { response, value }) => {
      const output = ok(ProtobufCodec.decodeForwardBackwardOutput(wire.bytes(response)))
      assert.deepStrictEqual(plain(output), plain(value))
      same(ok(ProtobufCodec.decodeForwardBackwardOutput(ok(ProtobufCodec.encodeForwardBackwardOutput(output)))), output)
    }
  )

  it.each(of("Sample"))("decode to the result that the Python types hold: %s", (_name, { response, value }) => {
    const sample = ok(ProtobufCodec.decodeSampleResponse(wire.bytes(response)))
    const theirs = value as { readonly sequences: ReadonlyArray<Record<string, unknown>> }
    assertContains(plain(sample), { ...theirs, sequences: theirs.sequences.map(({ sequence_id: _, ...rest }) => rest) })
    same(ok(ProtobufCodec.decodeSampleResponse(ok(ProtobufCodec.encodeSampleResponse(sample)))), sample)
  })

  it.each(
    named(
      polls
        .map(([, exchange]) => exchange)
        .filter(({ name, response }) => response.json !== undefined && /result/.test(name))
    )
  )("decode to the recorded JSON result: %s", (_name, { request, response }) => {
    const schema = results[request.headers["x-tinker-request-type"]!]!
    const ours = Schema.encodeSync(schema)(Schema.decodeUnknownSync(schema)(response.json))
    for (const [key, value] of Object.entries(ours as object)) {
      if (key !== "type") assert.deepStrictEqual(value, (response.json as Record<string, unknown>)[key])
    }
  })

  it("decode to states other than a result: not ready, too large, and failed", () => {
    const body = (name: string) => wire.exchange(name).response.json
    const pending = Schema.decodeUnknownSync(Future.TryAgain)(body("not yet"))
    assert.strictEqual(pending.queue_state, "paused_capacity")
    assert.strictEqual(pending.queue_state_reason, "busy")
    assert.strictEqual(Schema.decodeUnknownSync(Future.CompleteMetadata)(body("large")).response_payload_size, 4096)
    const failed = Schema.decodeUnknownSync(Future.RequestFailed)(body("a failure"))
    assert.deepStrictEqual(failed, { error: "no such token", category: "user" })
  })

  it("accept protobuf only for the three request types with protobuf results", () => {
    for (const [, { request }] of polls) {
      const accepts = ProtobufCodec.isProtobuf(request.headers["accept"])
      assert.strictEqual(
        accepts,
        ["Sample", "Forward", "ForwardBackward"].includes(request.headers["x-tinker-request-type"]!)
      )
    }
  })
})

describe("the protobuf schema of the official client", () => {
  const typeOf = (field: DescField): string => {
    const target: DescMessage | DescEnum | undefined =
      field.message ?? field.enum ?? (field.fieldKind === "list" ? (field.message ?? field.enum) : undefined)
    if (field.fieldKind === "map") return "map"
    if (target !== undefined) return target.typeName
    return field.scalar === undefined ? "?" : (scalars[field.scalar] ?? "?")
  }
  // The numbers of google.protobuf.FieldDescriptorProto.Type.
  const scalars: { readonly [type: number]: string } = {
    1: "double",
    2: "float",
    3: "int64",
    4: "uint64",
    5: "int32",
    8: "bool",
    9: "string",
    12: "bytes",
    13: "uint32"
  }

  const { messages, enums } = Gen.file_tinker_public

  it("equals ours in every message and field, by number and type", () => {
    assert.strictEqual(Gen.file_tinker_public.proto.package, wire.schema.package)
    assert.deepStrictEqual(messages.map(({ name }) => name).toSorted(), Object.keys(wire.schema.messages).toSorted())
    for (const message of messages) {
      const theirs = wire.schema.messages[message.name]!
      const isMap = (type: string) => Object.keys(theirs.nested).some((entry) => type.endsWith(`.${entry}`))
      assert.deepStrictEqual(
        message.fields.map((field) => [
          field.name,
          field.number,
          typeOf(field),
          field.fieldKind === "list" || field.fieldKind === "map",
          // In the schema of the official client, an optional field is a oneof with one member.
          field.oneof?.name ?? (field.proto.proto3Optional ? `_${field.name}` : null)
        ]),
        Object.entries(theirs.fields).map(([name, { number, oneof, repeated, type }]) => [
          name,
          number,
          isMap(type) ? "map" : type,
          repeated,
          oneof
        ])
      )
      for (const field of message.fields) {
        if (field.fieldKind !== "map") continue
        const entry = Object.values(theirs.nested).find(
          (_, i) => `${message.typeName}.${Object.keys(theirs.nested)[i]}` === theirs.fields[field.name]!.type
        )!
        assert.strictEqual(scalars[field.mapKey], entry.fields["key"]!.type)
        assert.strictEqual(
          field.mapKind === "scalar" ? scalars[field.scalar] : (field.message ?? field.enum)!.typeName,
          entry.fields["value"]!.type
        )
      }
    }
  })

  it("equals ours in every enum", () => {
    assert.deepStrictEqual(
      Object.fromEntries(
        enums.map(({ name, values }) => [name, Object.fromEntries(values.map((value) => [value.name, value.number]))])
      ),
      wire.schema.enums
    )
  })
})
