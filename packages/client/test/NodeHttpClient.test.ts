import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Either, Fiber, Layer, Option, Redacted, type Scope, Stream } from "effect"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Zlib from "node:zlib"

type Respond = (request: Http.IncomingMessage, response: Http.ServerResponse, body: Buffer) => void

interface Received {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Buffer
}

const collectGarbage = Effect.sync(() => {
  setFlagsFromString("--expose-gc")
  ;(runInNewContext("gc") as () => void)()
})

const listen = (respond: Respond) =>
  Effect.gen(function* () {
    const received: Array<Received> = []
    let connections = 0
    const server = yield* Effect.acquireRelease(
      Effect.async<Http.Server>((resume) => {
        const server = Http.createServer((request, response) => {
          const parts: Array<Buffer> = []
          request.on("data", (part: Buffer) => parts.push(part))
          request.on("end", () => {
            const body = Buffer.concat(parts)
            received.push({ method: request.method, url: request.url, headers: request.headers, body })
            respond(request, response, body)
          })
        })
        server.on("connection", () => connections++)
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    )
    const { port } = server.address() as AddressInfo
    return { received, url: `http://127.0.0.1:${port}`, connections: () => connections }
  })

const using = <A, E>(
  respond: Respond,
  program: (
    client: HttpClient.HttpClient,
    server: Effect.Effect.Success<ReturnType<typeof listen>>
  ) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.gen(function* () {
    const server = yield* listen(respond)
    return yield* program(yield* NodeHttpClient.make(), server)
  })

const send = (response: Http.ServerResponse, body: string | Buffer, headers: Http.OutgoingHttpHeaders = {}) => {
  const bytes = Buffer.from(body)
  response.writeHead(200, { "content-length": bytes.length, ...headers }).end(bytes)
}

describe("NodeHttpClient", () => {
  it.scopedLive("sends methods, headers and bodies of every kind, and reads responses in every form", () =>
    using(
      (_, response, body) => send(response, body, { "x-echo": "yes", "set-cookie": ["a=1; Path=/", "b=2"] }),
      (client, { received, url }) =>
        Effect.gen(function* () {
          const post = HttpClientRequest.post(`${url}/a:b/c?x=1`).pipe(
            HttpClientRequest.setUrlParam("y", "2"),
            HttpClientRequest.setHeader("x-own", "v")
          )
          const text = yield* client.execute(HttpClientRequest.bodyText(post, '{"a":[1]}', "application/json"))
          assert.strictEqual(text.status, 200)
          assert.strictEqual(text.headers["x-echo"], "yes")
          assert.deepStrictEqual(yield* text.json, { a: [1] })
          assert.strictEqual(yield* text.text, '{"a":[1]}')
          assert.strictEqual(text.cookies.cookies["b"]?.value, "2")
          const bytes = Uint8Array.of(0, 1, 255)
          const binary = yield* client.execute(HttpClientRequest.bodyUint8Array(post, bytes, "application/x-protobuf"))
          assert.deepStrictEqual(new Uint8Array(yield* binary.arrayBuffer), bytes)
          const parts = Stream.make("one", "two").pipe(Stream.encodeText)
          const streamed = yield* client.execute(HttpClientRequest.bodyStream(post, parts))
          assert.strictEqual(yield* streamed.text, "onetwo")
          const form = new FormData()
          form.append("field", "value")
          assert.include(
            yield* Effect.flatMap(
              client.execute(HttpClientRequest.bodyFormData(post, form)),
              (response) => response.text
            ),
            "value"
          )
          assert.strictEqual(yield* Effect.flatMap(client.get(url), ({ text }) => text), "")
          assert.strictEqual(received[0]!.url, "/a:b/c?x=1&y=2")
          assert.strictEqual(received[0]!.headers["content-type"], "application/json")
          assert.strictEqual(received[0]!.headers["x-own"], "v")
          assert.strictEqual(received[1]!.headers["content-type"], "application/x-protobuf")
          assert.strictEqual(received[4]!.method, "GET")
        })
    )
  )

  it.scopedLive("reuses connections, and opens as many as there are concurrent requests", () =>
    using(
      (request, response) =>
        request.url === "/slow" ? void setTimeout(() => send(response, "late"), 300) : send(response, "soon"),
      (client, { connections, url }) =>
        Effect.gen(function* () {
          for (let i = 0; i < 20; i++) yield* Effect.flatMap(client.get(url), ({ text }) => text)
          // undici reuses a socket only in the next turn of the event loop
          assert.isAtMost(connections(), 2)
          const late = yield* Effect.all(
            Array.from({ length: 300 }, () => Effect.flatMap(client.get(`${url}/slow`), ({ text }) => text)),
            { concurrency: "unbounded" }
          )
          assert.isTrue(late.every((text) => text === "late"))
          assert.isAtLeast(connections(), 300)
        })
    )
  )

  it.scopedLive("streams large bodies with back-pressure, and buffers them as well", () => {
    const big = Buffer.alloc(20_000_000, "tinker")
    return using(
      (_, response) => send(response, big),
      (client, { url }) =>
        Effect.gen(function* () {
          const whole = yield* Effect.flatMap(client.get(url), (response) => response.arrayBuffer)
          assert.isTrue(Buffer.from(whole).equals(big))
          const response = yield* client.get(url)
          // back-pressure stops it while it is not read
          yield* Effect.sleep("50 millis")
          const read = yield* response.stream.pipe(
            Stream.tap(() => Effect.yieldNow()),
            Stream.runFold(0, (sum, chunk) => sum + chunk.length)
          )
          assert.strictEqual(read, big.length)
          // a reader that stops early closes its connection, and no other
          const some = yield* Effect.flatMap(client.get(url), (response) =>
            Stream.runCollect(Stream.take(response.stream, 1))
          )
          assert.isAbove(Chunk.unsafeHead(some).length, 0)
          assert.strictEqual(
            (yield* Effect.flatMap(client.get(url), (response) => response.arrayBuffer)).byteLength,
            big.length
          )
        })
    )
  })

  it.scopedLive("decompresses responses, buffered and as a stream", () => {
    const text = "a checkpoint ".repeat(50_000)
    const encoders: Record<string, (bytes: Buffer) => Buffer> = {
      gzip: (bytes) => Zlib.gzipSync(bytes),
      deflate: (bytes) => Zlib.deflateSync(bytes),
      br: (bytes) => Zlib.brotliCompressSync(bytes)
    }
    return using(
      (request, response) => {
        const encoding = request.url!.slice(1)
        send(response, encoders[encoding]!(Buffer.from(text)), { "content-encoding": encoding })
      },
      (client, { received, url }) =>
        Effect.gen(function* () {
          for (const encoding of Object.keys(encoders)) {
            const response = yield* client.get(`${url}/${encoding}`)
            assert.isUndefined(response.headers["content-encoding"])
            assert.strictEqual(yield* response.text, text, encoding)
            assert.strictEqual(yield* response.text, text, `${encoding}, again`)
            const streamed = yield* Effect.flatMap(client.get(`${url}/${encoding}`), ({ stream }) =>
              Stream.mkString(Stream.decodeText(stream))
            )
            assert.strictEqual(streamed, text)
          }
          assert.include(received[0]!.headers["accept-encoding"], "gzip")
          yield* client.get(`${url}/gzip`, { headers: { range: "bytes=0-" } })
          assert.isUndefined(received.at(-1)!.headers["accept-encoding"], "a part cannot be decompressed")
        })
    )
  })

  it.scopedLive("follows redirects without credentials to other origins, unless redirects are manual", () =>
    Effect.gen(function* () {
      const elsewhere = yield* listen((_, response) => send(response, "there"))
      yield* using(
        (request, response) =>
          request.url === "/same"
            ? response.writeHead(302, { location: "/other", "content-length": 0 }).end()
            : response.writeHead(307, { location: `${elsewhere.url}/file`, "content-length": 0 }).end(),
        (client, { received, url }) =>
          Effect.gen(function* () {
            const headers = { "x-api-key": "tml-secret", authorization: "Bearer x", "x-own": "v" }
            assert.strictEqual(
              yield* Effect.flatMap(client.get(`${url}/same`, { headers }), ({ text }) => text),
              "there"
            )
            assert.deepStrictEqual(
              received.map(({ headers, url }) => [url, headers["x-api-key"]]),
              [
                ["/same", "tml-secret"],
                ["/other", "tml-secret"]
              ]
            )
            const [file] = elsewhere.received
            assert.isUndefined(file!.headers["x-api-key"])
            assert.isUndefined(file!.headers["authorization"])
            assert.strictEqual(file!.headers["x-own"], "v")
            const manual = yield* client
              .get(`${url}/other`)
              .pipe(Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" }))
            assert.strictEqual(manual.status, 307)
            assert.strictEqual((yield* client.post(`${url}/other`)).status, 307)
          })
      )
    })
  )

  it.scopedLive("aborts interrupted requests, before the response and in the middle of it", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const cut = yield* Deferred.make<void>()
      yield* using(
        (request, response) => {
          const done = request.url === "/silent" ? closed : cut
          response.on("close", () => Deferred.unsafeDone(done, Effect.void))
          if (request.url !== "/silent") response.writeHead(200).write("half")
        },
        (client, { url }) =>
          Effect.gen(function* () {
            const silent = yield* Effect.fork(client.get(`${url}/silent`))
            yield* Effect.sleep("100 millis")
            yield* Fiber.interrupt(silent)
            yield* Deferred.await(closed)
            const half = yield* Effect.fork(Effect.flatMap(client.get(`${url}/half`), ({ text }) => text))
            yield* Effect.sleep("100 millis")
            yield* Fiber.interrupt(half)
            yield* Deferred.await(cut)
          })
      )
    })
  )

  it.scopedLive("lets unreferenced responses be collected, and closes the socket of one that was not read", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      yield* using(
        (request, response) => {
          response.writeHead(200)
          if (request.url === "/read") {
            response.end("whole")
            return
          }
          response.on("close", () => Deferred.unsafeDone(closed, Effect.void))
          response.write("half")
        },
        (client, { url }) =>
          Effect.gen(function* () {
            const read = Effect.flatMap(client.get(`${url}/read`), (response) =>
              Effect.as(response.text, new WeakRef(response))
            )
            const responses = yield* Effect.all(Array.from({ length: 20 }, () => read))
            yield* Effect.asVoid(client.get(`${url}/unread`))
            yield* collectGarbage.pipe(
              Effect.andThen(Effect.sleep("10 millis")),
              Effect.repeat({ until: () => Effect.map(Deferred.poll(closed), Option.isSome) })
            )
            // the last one may still be referenced from the stack
            assert.isAtMost(responses.filter((response) => response.deref() !== undefined).length, 1)
          })
      )
    })
  )

  it.scopedLive("fails with the reason: no listener, a cut body, an invalid URL", () =>
    using(
      (_, response) => {
        response.writeHead(200, { "content-length": 100 }).write("half")
        setTimeout(() => response.destroy(), 20)
      },
      (client, { url }) =>
        Effect.gen(function* () {
          const cut = yield* Effect.flip(Effect.flatMap(client.get(url), ({ text }) => text))
          assert.strictEqual(cut._tag, "RequestError")
          const gone = yield* Effect.flip(client.get("http://127.0.0.1:1"))
          assert.strictEqual(gone._tag === "RequestError" && gone.reason, "Transport")
          const odd = yield* Effect.flip(client.get("ftp://host/"))
          assert.strictEqual(odd._tag === "RequestError" && odd.reason, "InvalidUrl")
        })
    )
  )
})

describe("transformRequest", () => {
  const transformRequest: NodeHttpClient.TransformRequest = (request) => ({
    ...request,
    url: request.url.replace("/api/", "/gateway/api/"),
    headers: { ...request.headers, "x-team": "blue" }
  })

  it.scopedLive("changes the requests of the HttpClient and those of clients over it alike", () =>
    Effect.gen(function* () {
      const { received, url } = yield* listen((_, response) => send(response, JSON.stringify({ supported_models: [] })))
      const http = NodeHttpClient.layerWith({ transformRequest })
      yield* Effect.gen(function* () {
        const client = yield* HttpClient.HttpClient
        yield* client.get(`${url}/api/x`)
        yield* client.execute(HttpClientRequest.bodyText(HttpClientRequest.post(`${url}/api/y`), "body"))
        yield* Effect.flatMap(RestClient.RestClient, (rest) => rest.getServerCapabilities)
      }).pipe(
        Effect.provide(
          RestClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: url, telemetry: false }).pipe(
            Layer.provideMerge(http)
          )
        )
      )
      assert.deepStrictEqual(
        received.map(({ url }) => url),
        ["/gateway/api/x", "/gateway/api/y", "/gateway/api/v1/client/config", "/gateway/api/v1/get_server_capabilities"]
      )
      assert.isTrue(received.every(({ headers }) => headers["x-team"] === "blue"))
      assert.strictEqual(received[1]!.body.toString(), "body")
    })
  )

  it.scopedLive("can replace a body", () =>
    Effect.gen(function* () {
      const { received, url } = yield* listen((_, response) => send(response, "ok"))
      const client = yield* NodeHttpClient.make({
        transformRequest: (request) => ({ ...request, body: `${Buffer.from(request.body!).toString()} and more` })
      })
      yield* client.execute(HttpClientRequest.bodyText(HttpClientRequest.post(url), "text"))
      assert.strictEqual(received[0]!.body.toString(), "text and more")
      assert.strictEqual(received[0]!.headers["content-length"], "13")
    })
  )

  it.scopedLive("does not run for a redirect to another origin, and its headers are not sent there", () =>
    Effect.gen(function* () {
      const elsewhere = yield* listen((_, response) => send(response, "there"))
      const { url } = yield* listen((_, response) =>
        response.writeHead(302, { location: `${elsewhere.url}/api/file`, "content-length": 0 }).end()
      )
      const client = yield* NodeHttpClient.make({ transformRequest })
      assert.strictEqual(yield* Effect.flatMap(client.get(`${url}/api/x`), ({ text }) => text), "there")
      assert.strictEqual(elsewhere.received[0]!.url, "/api/file")
      assert.isUndefined(elsewhere.received[0]!.headers["x-team"])
    })
  )

  it.scopedLive("fails with InvalidUrl if it returns an invalid URL", () =>
    Effect.gen(function* () {
      const client = yield* NodeHttpClient.make({ transformRequest: (request) => ({ ...request, url: "nowhere" }) })
      const error = yield* Effect.flip(client.get("http://any.test/"))
      assert.strictEqual(error.reason, "InvalidUrl")
    })
  )
})

describe("a client over NodeHttpClient", () => {
  const rest = <A, E>(url: string, program: (rest: RestClient.Service) => Effect.Effect<A, E>) =>
    Effect.flatMap(RestClient.RestClient, program).pipe(
      Effect.provide(
        RestClient.layer({ apiKey: Redacted.make("tml-transport"), baseUrl: url, telemetry: false }).pipe(
          Layer.provide(NodeHttpClient.layer)
        )
      )
    )

  it.scopedLive("times out after the timeout of its policy", () =>
    Effect.gen(function* () {
      const server = yield* listen((request, response) => {
        if (request.url!.endsWith("/client/config")) send(response, "{}")
      })
      const failed = yield* rest(server.url, (rest) => Effect.flip(rest.getServerCapabilities)).pipe(
        RetryPolicy.withRetryPolicy({ timeout: "300 millis", total: 0 })
      )
      assert.strictEqual(failed._tag === "TransportError" && failed.reason, "Timeout")
    })
  )

  it.scopedLive("survives a connection that is reset right after a response", () =>
    Effect.gen(function* () {
      let count = 0
      const server = yield* listen((request, response) => {
        if (request.url!.endsWith("/client/config")) return send(response, "{}")
        if (++count % 2 === 0) return send(response, '{"supported_models":[]}', { "content-type": "application/json" })
        response.writeHead(500, { "content-length": 2 }).end("{}", () => request.socket.resetAndDestroy())
      })
      const responses = yield* rest(server.url, (rest) =>
        Effect.all(
          Array.from({ length: 5 }, () => Effect.either(rest.getServerCapabilities)),
          { concurrency: 1 }
        )
      ).pipe(RetryPolicy.withRetryPolicy({ first: "5 millis", cap: "10 millis" }))
      assert.isTrue(responses.every(Either.isRight))
      assert.isAtLeast(count, 10)
    })
  )
})
