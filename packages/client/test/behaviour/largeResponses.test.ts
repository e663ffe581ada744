import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { gzipSync } from "node:zlib"

const mebi = 1024 * 1024
const gibi = 1024 * mebi

const member = gzipSync(Buffer.alloc(16 * mebi, " "))

/** About 1 MB that decompress to 1 GiB of spaces: members of a gzip file follow each other. */
const bomb = Buffer.concat(Array.from({ length: 64 }, () => member))

/** Sends 1 GiB in chunks, for as long as there is a reader. Counts the bytes. */
const sendPlain = (response: Http.ServerResponse, onSent: (bytes: number) => void) => {
  const chunk = Buffer.alloc(mebi, " ")
  let sent = 0
  const more = () => {
    while (sent < gibi && !response.destroyed) {
      sent += chunk.length
      onSent(chunk.length)
      if (!response.write(chunk)) return void response.once("drain", more)
    }
    response.end()
  }
  more()
}

const listen = (respond: (response: Http.ServerResponse) => void) =>
  Effect.acquireRelease(
    Effect.async<Http.Server>((resume) => {
      const server = Http.createServer((request, response) => {
        request.resume()
        respond(response)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  ).pipe(Effect.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`))

/** The error of a call whose response is sent by `respond`. */
const errorOf = (
  http: Layer.Layer<HttpClient.HttpClient>,
  respond: (response: Http.ServerResponse) => void,
  maxResponseBytes?: number
) =>
  Effect.gen(function* () {
    const baseUrl = yield* listen(respond)
    const config = { apiKey: Redacted.make("tml-key"), baseUrl, telemetry: false, maxResponseBytes }
    const context = yield* Layer.build(RestClient.layer(config).pipe(Layer.provide(http)))
    return yield* Effect.flip(Context.get(context, RestClient.RestClient).getTrainingRun("run"))
  })

const assertTooLarge = (error: TinkerError.TinkerError, limit: number) => {
  assert.strictEqual(error._tag, "TransportError")
  if (error._tag !== "TransportError") return
  assert.strictEqual(error.reason, "TooLarge")
  assert.isFalse(error.isRetryable)
  assert.include(error.message, `${limit} bytes`)
  assert.include(error.message, "maxResponseBytes")
}

for (const [name, http] of [
  ["NodeHttpClient", NodeHttpClient.layer],
  ["any other HttpClient", FetchHttpClient.layer]
] as const) {
  describe(`a response that is too large, over ${name}`, () => {
    it.scopedLive("fails with a typed error once 1 MB of gzip has grown to the default limit", () =>
      Effect.gen(function* () {
        assert.isBelow(bomb.length, 1.2 * mebi)
        const error = yield* errorOf(http, (response) =>
          response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" }).end(bomb)
        )
        assertTooLarge(error, 256 * mebi)
      })
    )

    it.scopedLive("fails as soon as the limit is passed, and the rest is not read", () =>
      Effect.gen(function* () {
        for (const status of [200, 500]) {
          let sent = 0
          const error = yield* errorOf(
            http,
            (response) => {
              response.writeHead(status, { "content-type": "application/json" })
              sendPlain(response, (bytes) => (sent += bytes))
            },
            mebi
          )
          assertTooLarge(error, mebi)
          assert.isBelow(sent, 64 * mebi)
        }
      })
    )

    it.scopedLive("fails also where its length is announced", () =>
      Effect.gen(function* () {
        const error = yield* errorOf(
          http,
          (response) => response.writeHead(200, { "content-length": 2 * mebi }).end(Buffer.alloc(2 * mebi, " ")),
          mebi
        )
        assertTooLarge(error, mebi)
      })
    )

    it.scopedLive("is read where it has exactly the limit", () =>
      Effect.gen(function* () {
        for (const compress of [false, true]) {
          const body = Buffer.alloc(mebi, " ")
          const error = yield* errorOf(
            http,
            (response) =>
              compress
                ? response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(body))
                : response.writeHead(200).end(body),
            mebi
          )
          // a body of spaces is no JSON
          assert.strictEqual(error._tag, "DecodeError")
        }
      })
    )
  })
}
