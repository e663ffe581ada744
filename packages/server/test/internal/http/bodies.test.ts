import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Zstd from "@effect-tinker/api/Zstd"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as client from "../../utils/client.ts"

const { createModel, createSession, ok, result, statusOf } = client

const postBytes = (path: string, body: Uint8Array, headers: { readonly [name: string]: string }) =>
  client.send(
    HttpClientRequest.post(`http://tinker.test/api/v1${path}`).pipe(
      HttpClientRequest.bodyUint8Array(body, "application/json"),
      HttpClientRequest.setHeaders(headers)
    )
  )

describe("compressed bodies", () => {
  it.scoped("are decompressed, up to a limit before and after decompression", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ maxCompressedSize: 4096, maxDecompressedSize: 100_000 })
      yield* Effect.gen(function* () {
        const zstd = yield* Zstd.make
        const model_id = yield* createModel(yield* createSession)
        const text = JSON.stringify({ forward_backward_input: client.input(client.datum([1, 2])), model_id, seq_id: 1 })
        const encoding = { "content-encoding": "zstd" }
        const body = yield* zstd.compress(new TextEncoder().encode(text))
        const { request_id } = yield* ok(postBytes("/forward_backward", body, encoding))
        assert.property(yield* result(request_id), "metrics")

        const send = (bytes: Uint8Array) => postBytes("/forward_backward", bytes, encoding)
        assert.strictEqual(yield* statusOf(send(yield* zstd.compress(new Uint8Array(100_001)))), 413)
        assert.strictEqual(yield* statusOf(send(new Uint8Array(5000))), 413)
        assert.strictEqual(yield* statusOf(send(body.slice(0, 20))), 422)
        assert.strictEqual(yield* statusOf(send(new Uint8Array([1, 2, 3]))), 422)
        assert.strictEqual(yield* statusOf(postBytes("/optim_step", body, { "content-encoding": "gzip" })), 415)
        const junk = yield* zstd.compress(new TextEncoder().encode("{"))
        assert.strictEqual(yield* statusOf(send(junk)), 422)
        const protobuf = { ...encoding, "content-type": ProtobufCodec.contentType }
        assert.strictEqual(yield* statusOf(postBytes("/forward_backward", junk, protobuf)), 422)
      }).pipe(Effect.provide(layer))
    })
  )
})
