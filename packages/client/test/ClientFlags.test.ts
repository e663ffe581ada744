import * as Datum from "@effect-tinker/api/Datum"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Zstd from "@effect-tinker/api/Zstd"
import * as ClientFlags from "@effect-tinker/client/ClientFlags"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Session from "@effect-tinker/client/Session"
import * as TinkerClient from "@effect-tinker/client/TinkerClient"
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import type * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Fiber, Layer, Redacted, TestClock } from "effect"
import { connect, json, scripted } from "./utils/services.ts"

const open = (http: ScriptedHttpClient.ScriptedHttpClient) =>
  Layer.build(
    Session.layer.pipe(
      Layer.provide(TinkerClient.layer),
      Layer.provide(TinkerConfig.layer({ apiKey: Redacted.make("tml-key"), baseUrl: "http://any.test" })),
      Layer.provide(http.layer)
    )
  ).pipe(Effect.flatMap((context) => Effect.provide(Session.Session, context)))

describe("the client configuration", () => {
  it.scoped("has a default for every flag that the service leaves out", () =>
    Effect.gen(function* () {
      const missing = json({ detail: "Not Found" }, { status: 404 })
      const http = yield* scripted.make({ "/client/config": missing, "/client/dynamic_config": missing })
      const session = yield* open(http)
      assert.deepStrictEqual(session.clientConfig, ClientFlags.clientDefaults)
      assert.isFalse(Object.values(session.clientConfig).includes(undefined as never))
      assert.deepStrictEqual(yield* session.dynamicConfig, ClientFlags.dynamicDefaults)
    })
  )

  it.scoped("has the values that the service gives", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/client/config": json({ fwdbwd_max_chunk_len: 7, sample_no_retries: true, pjwt_auth_enabled: null, new: 1 })
      })
      const session = yield* open(http)
      assert.deepStrictEqual(session.clientConfig, {
        ...ClientFlags.clientDefaults,
        fwdbwd_max_chunk_len: 7,
        sample_no_retries: true
      })
    })
  )

  it.scoped("turns on the compression of passes", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/client/config": json({ proto_compress_fwdbwd: true }),
        "/forward_backward": json({ request_id: "ForwardBackward:1" })
      })
      const datum = Datum.fromPromptCompletion([1, 2], [3])
      yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const training = yield* service.createLoraTrainingClient({ base_model: "base" })
        yield* Fiber.join(yield* training.forwardBackward([datum], "cross_entropy"))
        yield* Fiber.join(yield* training.optimStep())
      }).pipe(Effect.provide(connect(http)))
      const [pass] = yield* http.requestsTo("/forward_backward")
      assert.strictEqual(pass!.headers["content-encoding"], "zstd")
      assert.strictEqual(pass!.headers["content-type"], ProtobufCodec.contentType)
      const zstd = yield* Zstd.make
      const sent = Either.getOrThrow(ProtobufCodec.decodeForwardBackwardRequest(yield* zstd.decompress(pass!.bytes)))
      assert.strictEqual(sent.seq_id, 1)
      assert.strictEqual(sent.forward_backward_input.data.length, 1)
      const [step] = yield* http.requestsTo("/optim_step")
      assert.isUndefined(step!.headers["content-encoding"])
    })
  )
})

describe("the dynamic configuration", () => {
  it.scoped("is requested again at the interval that it gives, and keeps its values when a request fails", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/client/dynamic_config": [
          json({ refresh_interval_sec: 60, sample_cancel_enabled: true }),
          json({ detail: "busy" }, { status: 503 }),
          json({ refresh_interval_sec: 1, sample_cancel_max_batch_size: 3 })
        ]
      })
      const session = yield* open(http)
      assert.isTrue((yield* session.dynamicConfig).sample_cancel_enabled)
      yield* TestClock.adjust("60 seconds")
      assert.isTrue((yield* session.dynamicConfig).sample_cancel_enabled)
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(yield* session.dynamicConfig, {
        refresh_interval_sec: 1,
        sample_cancel_enabled: false,
        sample_cancel_max_batch_size: 3
      })
      yield* TestClock.adjust("30 seconds")
      const times = (yield* http.requestsTo("/client/dynamic_config")).map(({ time }) => time / 1000)
      assert.deepStrictEqual(times, [0, 60, 120, 130, 140, 150])
    })
  )
})
