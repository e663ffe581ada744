import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Zstd from "@effect-tinker/api/Zstd"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as client from "../utils/client.ts"
import { listen } from "../utils/nodeServer.ts"
import { rawRequest, sendEndlessly } from "../utils/rawHttp.ts"

const mebi = 1024 * 1024

const padded = (size: number) => `{"pad":"${"x".repeat(size - 10)}"}`

describe("the size of a body", () => {
  it.scoped("is limited for each endpoint, and the response names the limit", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const cases = [
          ["/create_session", 4],
          ["/optim_step", 4],
          ["/retrieve_futures", 4],
          ["/create_model", 4],
          ["/asample", 16],
          ["/forward", 32],
          ["/forward_backward", 32]
        ] as const
        for (const [path, limit] of cases) {
          const over = yield* client.postText(path, padded(limit * mebi + 1))
          assert.strictEqual(over.status, 413, path)
          assert.include(over.body.detail, `${limit * mebi} bytes`)
          assert.strictEqual((yield* client.postText(path, padded(limit * mebi))).status, 422, path)
        }
        const protobuf = yield* client.send(
          HttpClientRequest.post(`${client.base}/forward_backward`).pipe(
            HttpClientRequest.bodyUint8Array(new Uint8Array(40 * mebi), ProtobufCodec.contentType)
          )
        )
        assert.strictEqual(protobuf.status, 422)
        assert.strictEqual((yield* client.get("/healthz")).status, 200)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("is limited after decompression as well, by the limit of the endpoint", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const zstd = yield* Zstd.make
        const send = (path: string, size: number) =>
          Effect.flatMap(zstd.compress(new TextEncoder().encode(padded(size))), (bytes) =>
            client.send(
              HttpClientRequest.post(`${client.base}${path}`).pipe(
                HttpClientRequest.bodyUint8Array(bytes, "application/json"),
                HttpClientRequest.setHeader("content-encoding", "zstd")
              )
            )
          )
        const over = yield* send("/create_session", 4 * mebi + 1)
        assert.strictEqual(over.status, 413)
        assert.include(over.body.detail, `${4 * mebi}`)
        assert.strictEqual((yield* send("/forward", 32 * mebi + 1)).status, 413)
        assert.strictEqual((yield* send("/create_session", 4 * mebi)).status, 422)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("is an option of the service", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ bodyLimits: { json: 100, protobufPass: 200 } })
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* client.postText("/create_session", padded(101))).status, 413)
        assert.strictEqual((yield* client.postText("/asample", padded(101))).status, 422)
        const pass = "x".repeat(201)
        const response = yield* client.postText("/forward_backward", pass, ProtobufCodec.contentType)
        assert.strictEqual(response.status, 413)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scopedLive("is enforced while the bytes arrive over a socket, and the service continues", () =>
    Effect.gen(function* () {
      const port = yield* listen()
      for (const [path, type, limit] of [
        ["/create_session", "application/json", 4],
        ["/forward", "application/json", 32]
      ] as const) {
        const { received, sent } = yield* sendEndlessly(port, `POST /api/v1${path}`, type, limit + 32)
        assert.match(received, /^HTTP\/1\.1 413 /)
        assert.include(received, `${limit * mebi} bytes`)
        assert.isBelow(sent, limit + 32)
      }
      const healthy = yield* rawRequest(port, "GET", "/api/v1/healthz", { host: "localhost" })
      assert.strictEqual(healthy.status, 200)
    })
  )

  it.scopedLive("does not cost the sender its connection", () =>
    Effect.gen(function* () {
      const port = yield* listen()
      const response = yield* Effect.promise(() =>
        fetch(`http://127.0.0.1:${port}/api/v1/create_session`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: padded(20 * mebi)
        })
      )
      assert.strictEqual(response.status, 413)
      const body = yield* Effect.promise(() => response.json() as Promise<{ readonly detail: string }>)
      assert.include(body.detail, `${4 * mebi} bytes`)
    })
  )
})
