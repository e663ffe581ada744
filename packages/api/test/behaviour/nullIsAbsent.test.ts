import { describe, expect, it } from "@effect/vitest"
import * as Api from "@effect-tinker/api"
import * as HttpApi from "@effect/platform/HttpApi"
import * as Arbitrary from "effect/Arbitrary"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as FastCheck from "fast-check"
import { same } from "../utils/same.ts"

type AnySchema = Schema.Schema<unknown, unknown>

/** What `retrieve_future` returns, by operation. */
const results: ReadonlyArray<readonly [string, Schema.Schema.AnyNoContext]> = [
  ["CreateModel", Api.Model.CreateModelResponse],
  ["UnloadModel", Api.Model.UnloadModelResponse],
  ["ForwardBackward", Api.Training.ForwardBackwardOutput],
  ["OptimStep", Api.Training.OptimStepResponse],
  ["SaveWeights", Api.Weights.SaveWeightsResponse],
  ["SaveWeightsForSampler", Api.Weights.SaveWeightsForSamplerResponse],
  ["SaveWeightsExternal", Api.Weights.SaveWeightsExternalResponse],
  ["LoadWeights", Api.Weights.LoadWeightsResponse],
  ["CreateCustomLoss", Api.CustomLoss.CreateCustomLossResponse],
  ["Sample", Api.Sampling.SampleResponse],
  ["TryAgain", Api.Future.TryAgain],
  ["CompleteMetadata", Api.Future.CompleteMetadata],
  ["RequestFailed", Api.Future.RequestFailed]
]

/** The responses of all endpoints that have one. */
const responses = (): ReadonlyArray<readonly [string, AnySchema]> => {
  const found: Array<readonly [string, AnySchema]> = results.map(([name, schema]) => [name, schema as AnySchema])
  HttpApi.reflect(Api.TinkerApi.TinkerApi, {
    onGroup: () => undefined,
    onEndpoint: ({ endpoint, successes }) => {
      for (const { ast } of successes.values()) {
        if (Option.isSome(ast)) found.push([endpoint.name, Schema.make(ast.value) as AnySchema])
      }
    }
  })
  return found.filter(([name]) => name !== "retrieveFuture")
}

/** Records of the user or of the service, in which `null` is a value: a metric that is not finite, for one. */
const values = new Set(["metrics", "event_details", "urls"])

/** Every copy of a JSON value with one field of an object deleted, and the same one with that field `null`. */
const withoutOneField = (value: unknown): ReadonlyArray<readonly [string, unknown, unknown]> => {
  if (typeof value !== "object" || value === null) return []
  const copies: Array<readonly [string, unknown, unknown]> = []
  for (const [key, part] of Object.entries(value)) {
    const put = (other: unknown) =>
      Array.isArray(value) ? Object.assign([...value], { [key]: other }) : { ...value, [key]: other }
    if (!Array.isArray(value)) {
      const { [key]: _, ...rest } = value as Record<string, unknown>
      copies.push([key, rest, { ...value, [key]: null }])
    }
    if (values.has(key)) continue
    for (const [path, deleted, nulled] of withoutOneField(part)) {
      copies.push([`${key}.${path}`, put(deleted), put(nulled)])
    }
  }
  return copies
}

/** Optimizers that this version does not know are passed through as they are. */
const isOpen = (value: unknown): boolean => {
  const config = (value as { readonly optimizer_config?: { readonly type?: string } }).optimizer_config
  return config !== undefined && config.type !== "adamw" && config.type !== "dimuon"
}

describe("a response", () => {
  it.each(responses())("may have null for every field that may be absent: %s", (_name, schema) => {
    const encode = Schema.encodeUnknownSync(schema)
    const decode = Schema.decodeUnknownEither(schema)
    FastCheck.assert(
      FastCheck.property(Arbitrary.make(schema), (value) => {
        const encoded: unknown = JSON.parse(JSON.stringify(encode(value) ?? null))
        if (encoded === null || isOpen(encoded)) return
        for (const [path, deleted, nulled] of withoutOneField(encoded)) {
          const [expected, found] = [decode(deleted), decode(nulled)]
          if (Either.isLeft(expected)) continue
          if (Either.isLeft(found)) throw new Error(`${path}: null does not decode: ${found.left.message}`)
          same(found.right, expected.right)
        }
      }),
      { numRuns: 40 }
    )
  })

  const checkpoint = {
    checkpoint_id: "weights/a",
    checkpoint_type: "training",
    time: "2026-01-01T00:00:00Z",
    tinker_path: "tinker://m/weights/a"
  }

  it("keeps a checkpoint with what the server knows of it", () => {
    const { checkpoints } = Schema.decodeUnknownSync(Api.Checkpoint.CheckpointsListResponse)({
      checkpoints: [{ ...checkpoint, time: null, public: null, expires_at: null }],
      cursor: null
    })
    expect(checkpoints).toStrictEqual([
      { checkpoint_id: "weights/a", checkpoint_type: "training", tinker_path: "tinker://m/weights/a", public: false }
    ])
    expect(Api.Pagination.leftOut(checkpoints)).toStrictEqual([])
  })

  it.each([
    ["checkpoints", Api.Checkpoint.CheckpointsListResponse, { ...checkpoint, tinker_path: null }, checkpoint],
    ["checkpoints", Api.Checkpoint.CheckpointSearchResponse, "gone", checkpoint],
    [
      "training_runs",
      Api.TrainingRun.TrainingRunsResponse,
      { training_run_id: null },
      { training_run_id: "m", base_model: "b" }
    ],
    ["sessions", Api.Session.ListSessionsResponse, null, "s"],
    ["sampler_ids", Api.Session.GetSessionResponse, 1, "s"],
    ["supported_models", Api.Session.GetServerCapabilitiesResponse, null, { model_name: "m" }],
    ["entries", Api.Audit.AuditLogResponse, { event: "e" }, { event: "e", timestamp: "2026-01-01T00:00:00Z" }]
  ])("leaves an entry of %s out that it cannot read, and says so", (field, schema, bad, good) => {
    const decode = Schema.decodeUnknownSync(schema as AnySchema)
    const list = (decode({ [field]: [bad, good] }) as { readonly [field: string]: ReadonlyArray<unknown> })[field]!
    const alone = (decode({ [field]: [good] }) as { readonly [field: string]: ReadonlyArray<unknown> })[field]!
    expect(list).toStrictEqual(alone)
    expect(list.length).toBe(1)
    expect(Api.Pagination.leftOut(list).length).toBe(1)
    expect(Api.Pagination.leftOut(list)[0]).toMatch(/^\[0\]/)
    expect(decode({ [field]: null })).toStrictEqual(decode({}))
  })

  it("reads the name of a base model from model_id, and from an entry that is nothing but the name", () => {
    const { supported_models } = Schema.decodeUnknownSync(Api.Session.GetServerCapabilitiesResponse)({
      supported_models: [{ model_id: "a", max_context_length: 8 }, "b", { model_name: "c", model_id: "d" }]
    })
    expect(supported_models).toStrictEqual([
      { model_name: "a", max_context_length: 8 },
      { model_name: "b" },
      { model_name: "c" }
    ])
  })
})
