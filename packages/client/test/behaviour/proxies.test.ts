import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import * as Http from "node:http"
import * as Https from "node:https"
import type { AddressInfo } from "node:net"
import * as Undici from "undici"
import { fromConfig } from "../../src/internal/network/proxySettings.ts"
import { ProxyDispatcher } from "../../src/internal/transport/undici/proxyDispatcher.ts"
import { certificate, makeProxy, type ProxyOptions } from "../utils/proxy.ts"

/** A server that responds to everything. It stops with the scope. */
const listen = (isSecure: boolean) =>
  Effect.gen(function* () {
    const respond: Http.RequestListener = ({ headers, url }, response) => {
      response.setHeader("content-type", "application/json")
      response.end(JSON.stringify({ training_runs: [], cursor: { limit: 1, offset: 0, total_count: 0 }, headers, url }))
    }
    const server = isSecure ? Https.createServer(certificate, respond) : Http.createServer(respond)
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    )
    return (server.address() as AddressInfo).port
  })

const withEnvironment = (env: Record<string, string>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env))))

const settings = (isRefusing: ProxyOptions = {}, isSecure = false) =>
  Effect.gen(function* () {
    const upstream = yield* listen(isSecure)
    return { upstream, proxy: yield* makeProxy(upstream, isRefusing) }
  })

/** The client of an environment, which trusts the certificate of the tests. */
const makeClient = (env: Record<string, string>) =>
  Effect.gen(function* () {
    const dispatcher = yield* Effect.acquireRelease(
      Effect.map(
        fromConfig,
        (settings) =>
          new ProxyDispatcher(settings!, {
            connections: null,
            pipelining: 1,
            keepAliveTimeout: 1000,
            connect: { timeout: 5000, ca: certificate.cert }
          })
      ),
      (dispatcher) => Effect.promise(() => dispatcher.destroy())
    )
    return { dispatcher, client: NodeHttpClient.fromDispatcher(dispatcher) }
  }).pipe(withEnvironment(env))

const listRuns = (client: HttpClient.HttpClient, baseUrl: string) =>
  Effect.flatMap(RestClient.RestClient, (rest) => rest.listTrainingRuns({ limit: 1 })).pipe(
    Effect.provide(
      RestClient.layer({ apiKey: Redacted.make("tml-key-of-the-tests"), baseUrl, telemetry: false }).pipe(
        Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
      )
    ),
    RetryPolicy.withRetryPolicy({ total: 0 })
  )

const isTransport = (error: TinkerError.TinkerError): error is TinkerError.TransportError =>
  error._tag === "TransportError"

describe("the proxies of the environment", () => {
  it.scopedLive("get absolute URLs for http, with the host of the service and the credentials of the proxy", () =>
    Effect.gen(function* () {
      const { proxy } = yield* settings()
      const { client } = yield* makeClient({ HTTP_PROXY: `http://me:p%40ss@127.0.0.1:${proxy.port}` })
      yield* listRuns(client, "http://service.test/base")
      const response = yield* client.get("http://other.test:8080/path?q=1")
      assert.strictEqual(((yield* response.json) as { readonly url: string }).url, "/path?q=1")
      const authorization = `Basic ${Buffer.from("me:p@ss").toString("base64")}`
      assert.deepStrictEqual(
        proxy.received.slice(-2).map(({ host, method, target }) => [method, target.split("?")[0], host]),
        [
          ["GET", "http://service.test/base/api/v1/training_runs", "service.test"],
          ["GET", "http://other.test:8080/path", "other.test:8080"]
        ]
      )
      assert.isTrue(proxy.received.every((request) => request.authorization === authorization))
    })
  )

  it.scopedLive("get a CONNECT for https, and never see what is sent", () =>
    Effect.gen(function* () {
      const { proxy } = yield* settings({}, true)
      const { client } = yield* makeClient({ https_proxy: `http://me:secret@127.0.0.1:${proxy.port}` })
      yield* listRuns(client, "https://service.test")
      const response = yield* client.get("https://service.test/again")
      const { headers } = (yield* response.json) as { readonly headers: Http.IncomingHttpHeaders }
      assert.strictEqual(headers["proxy-authorization"], undefined)
      for (const request of proxy.received) {
        assert.strictEqual(`${request.method} ${request.target}`, "CONNECT service.test:443")
        assert.strictEqual(request.authorization, `Basic ${Buffer.from("me:secret").toString("base64")}`)
      }
      assert.isAtLeast(proxy.received.length, 1)
    })
  )

  it.scopedLive("are used by undici's fetch over the same dispatcher", () =>
    Effect.gen(function* () {
      const { proxy } = yield* settings()
      const { dispatcher } = yield* makeClient({ HTTP_PROXY: proxy.url })
      const response = yield* Effect.promise(() =>
        Undici.fetch("http://hub.test/api", { dispatcher, method: "POST", body: "body" })
      )
      assert.strictEqual(response.status, 200)
      yield* Effect.promise(() => response.text())
      assert.strictEqual(proxy.received[0]?.target, "http://hub.test/api")
    })
  )

  for (const [name, url, noProxy] of [
    ["this computer", "http://127.0.0.1:PORT", ""],
    ["this computer by name", "http://localhost:PORT", ""],
    ["everything with *", "http://127.0.0.1:PORT", "*"]
  ] as const) {
    it.scopedLive(`are not used for ${name}`, () =>
      Effect.gen(function* () {
        const { proxy, upstream } = yield* settings()
        const env = { HTTP_PROXY: proxy.url, ...(noProxy === "" ? {} : { NO_PROXY: noProxy }) }
        const client = yield* NodeHttpClient.make().pipe(withEnvironment(env))
        const response = yield* client.get(url.replace("PORT", String(upstream)))
        assert.strictEqual(response.status, 200)
        assert.deepStrictEqual(proxy.received, [])
      })
    )
  }

  for (const [isSecure, refuse, isRetryable] of [
    [false, 407, false],
    [true, 407, false],
    [true, 403, false],
    [true, 502, true]
  ] as const) {
    it.scopedLive(`fail with a typed error if they respond with ${refuse} for ${isSecure ? "https" : "http"}`, () =>
      Effect.gen(function* () {
        const { proxy } = yield* settings({ refuse }, isSecure)
        const value = `http://me:secret-word@127.0.0.1:${proxy.port}`
        const { client } = yield* makeClient({ HTTP_PROXY: value, HTTPS_PROXY: value })
        const error = yield* Effect.flip(listRuns(client, `${isSecure ? "https" : "http"}://service.test`))
        assert.isTrue(isTransport(error))
        if (!isTransport(error)) return
        assert.strictEqual(error.reason, "Proxy")
        assert.strictEqual(error.proxy, proxy.url)
        assert.strictEqual(error.proxyStatus, refuse)
        assert.strictEqual(error.isRetryable, isRetryable)
        assert.include(error.message, `the proxy ${proxy.url} (${isSecure ? "HTTPS" : "HTTP"}_PROXY) responded with`)
        assert.notInclude(JSON.stringify(error) + error.message + String(error.cause), "secret-word")
        const direct = yield* Effect.flip(client.get(`${isSecure ? "https" : "http"}://service.test`))
        assert.instanceOf((direct as { readonly cause?: unknown }).cause, NodeHttpClient.ProxyError)
      })
    )
  }

  for (const [value, expected] of [
    [
      "http://127.0.0.1:1",
      /the proxy http:\/\/127\.0\.0\.1:1 \(HTTPS?_PROXY\) cannot be reached: nothing listens there/
    ],
    [
      "socks5://me:secret-word@127.0.0.1:1",
      /the proxy socks5:\/\/127\.0\.0\.1:1 .* only those of http:\/\/ and https:/
    ],
    ["http://me:secret-word@:x", /is not a URL: set it to one such as http:\/\/proxy:3128/]
  ] as const) {
    it.scopedLive(`fail with a typed error that names ${value.replace(/me.*@/, "")}`, () =>
      Effect.gen(function* () {
        const { client } = yield* makeClient({ HTTP_PROXY: value, HTTPS_PROXY: value })
        for (const url of ["http://service.test", "https://service.test"]) {
          const error = yield* Effect.flip(listRuns(client, url))
          assert.strictEqual(isTransport(error) ? error.reason : error._tag, "Proxy")
          assert.match(error.message, expected)
          assert.notInclude(error.message, "secret-word")
        }
      })
    )
  }

  it.scopedLive("are named to users of fetch, which ignores them", () =>
    Effect.gen(function* () {
      const fetch = yield* Effect.provide(HttpClient.HttpClient, FetchHttpClient.layer)
      const env = { HTTPS_PROXY: "http://me:secret-word@proxy.test:3128" }
      const run = (url: string) => Effect.flip(listRuns(fetch, url))
      const ignored = yield* withEnvironment(env)(run("https://service.invalid"))
      assert.include(ignored.message, "HTTPS_PROXY is set, which fetch ignores: use NodeHttpClient")
      assert.notInclude(ignored.message, "secret-word")
      for (const [url, more] of [
        ["https://service.invalid", { NODE_USE_ENV_PROXY: "1" }],
        ["https://service.invalid", { NO_PROXY: ".invalid" }],
        ["https://127.0.0.1:1", {}]
      ] as const) {
        assert.notInclude((yield* withEnvironment({ ...env, ...more })(run(url))).message, "HTTPS_PROXY")
      }
    })
  )
})

describe("a connection that fails", () => {
  it.scopedLive("names the problem of the certificate and NODE_EXTRA_CA_CERTS, and is not retried", () =>
    Effect.gen(function* () {
      const port = yield* listen(true)
      const clients = [
        yield* NodeHttpClient.make(),
        yield* Effect.provide(HttpClient.HttpClient, FetchHttpClient.layer)
      ]
      for (const client of clients) {
        const error = yield* Effect.flip(listRuns(client, `https://127.0.0.1:${port}`))
        assert.strictEqual(isTransport(error) ? error.reason : error._tag, "Certificate")
        assert.match(
          error.message,
          /its certificate is self-signed: .*NODE_EXTRA_CA_CERTS.*\(DEPTH_ZERO_SELF_SIGNED_CERT\)/
        )
        assert.isFalse(error.isRetryable)
      }
    })
  )

  for (const [url, expected] of [
    ["http://127.0.0.1:1", /could not be reached: nothing listens there/],
    ["http://service.invalid", /could not be reached: its host name (?:is unknown|could not be looked up)/]
  ] as const) {
    it.scopedLive(`says why ${url} cannot be reached`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(listRuns(yield* NodeHttpClient.make(), url))
        assert.match(error.message, expected)
      })
    )
  }

  it.scopedLive("says that a port does not speak TLS", () =>
    Effect.gen(function* () {
      const port = yield* listen(false)
      const error = yield* Effect.flip(listRuns(yield* NodeHttpClient.make(), `https://127.0.0.1:${port}`))
      assert.match(error.message, /does not speak TLS there: check the port, or write http:/)
    })
  )
})
