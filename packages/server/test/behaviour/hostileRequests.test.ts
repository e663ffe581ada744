import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Zstd from "@effect-tinker/api/Zstd"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Net from "node:net"
import { gzipSync } from "node:zlib"
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as client from "../utils/client.ts"

const key = "tml-hostile-key"

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
const generator = (seed: number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

interface Reply {
  readonly status: number
  readonly body: string
}

/** Sends bytes over a socket; the response is `undefined` if the connection closes without one. */
const exchange = (port: number, bytes: Uint8Array) =>
  Effect.async<Reply | undefined>((resume) => {
    const received: Array<Buffer> = []
    const socket = Net.connect(port, "127.0.0.1", () => socket.end(bytes))
    socket.on("data", (chunk) => received.push(chunk))
    socket.on("error", () => undefined)
    socket.on("close", () => {
      const text = Buffer.concat(received).toString("latin1")
      const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]
      const body = text.slice(text.indexOf("\r\n\r\n") + 4)
      resume(Effect.succeed(status === undefined ? undefined : { status: Number(status), body }))
    })
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeout("20 seconds"), Effect.orDie)

const endpoints = (() => {
  const found: Array<{ readonly method: string; readonly path: string }> = []
  HttpApi.reflect(TinkerApi as never, {
    onGroup: () => undefined,
    onEndpoint: ({ endpoint }) => found.push({ method: endpoint.method, path: endpoint.path })
  })
  return found
})()

/** Generates hostile requests, one after the other. */
const makeAttacks = (options: {
  readonly seed: number
  readonly bomb: Uint8Array
  readonly session: string
  readonly model: string
  readonly signed: string
}) => {
  const random = generator(options.seed)
  const int = (below: number) => Math.floor(random() * below)
  const pick = <A>(items: ReadonlyArray<A>): A => items[int(items.length)]!
  const bytes = (length: number) => Uint8Array.from({ length }, () => int(256))
  const utf8 = (text: string) => new TextEncoder().encode(text)
  // nested too deeply for JSON.stringify, so it is inserted as text
  const deep = "<deep>"
  const json = (value: unknown) =>
    utf8(JSON.stringify(value).replaceAll(`"${deep}"`, `${"[".repeat(20_000)}${"]".repeat(20_000)}`))

  const nasty: ReadonlyArray<() => unknown> = [
    () => null,
    () => -1,
    () => 1e308,
    () => 0.5,
    () => "",
    () => "x".repeat(int(100_000)),
    () => "\u0000\ud800../..",
    () => [],
    () => ({}),
    () => true,
    () => Array.from({ length: int(20_000) }, () => int(1e6)),
    () => Array.from({ length: 300 }, () => ({ type: "encoded_text", tokens: [int(100)] })),
    () => deep,
    () => ({ __proto__: null, constructor: { prototype: {} }, toString: 1 }),
    () => JSON.parse('{"__proto__":{"polluted":true}}'),
    () => options.model,
    () => options.session,
    () => `tinker://${options.model}/weights/../../x`,
    () => "tinker://../weights/x",
    () => 2 ** 53,
    () => Number.MAX_SAFE_INTEGER
  ]
  const datum = () => ({
    model_input: {
      chunks: [
        {
          type: pick(["encoded_text", "image", "dmel", "x", { toString: "" }]),
          tokens: pick([[1, 2], ["a"], [1.5], [-1], [1e9]]),
          data: "AA",
          format: "png"
        }
      ]
    },
    loss_fn_inputs: {
      target_tokens: {
        data: pick([[1, 2], [1], [9e9], ["x"]]),
        dtype: pick(["int64", "float32", "x"]),
        shape: pick([[2], [1], [1e9, 1e9], [-1], undefined])
      },
      weights: {
        data: [1, Number.NaN],
        dtype: "float32",
        shape: [2],
        sparse_crow_indices: pick([undefined, [0, 9], [5]]),
        sparse_col_indices: pick([undefined, [9e9]])
      }
    }
  })
  const bodies: Record<string, () => object> = {
    "/create_model": () => ({
      session_id: options.session,
      model_seq_id: int(3),
      base_model: TestEngine.baseModel,
      lora_config: { rank: pick([1e9, -1, 0, 1.5, 4]) }
    }),
    "/forward_backward": () => ({
      model_id: options.model,
      seq_id: int(50),
      forward_backward_input: {
        data: [datum()],
        loss_fn: pick(["cross_entropy", "ppo", "x"]),
        loss_fn_config: { x: pick([1, "y", null]) }
      }
    }),
    "/forward": () => ({
      model_id: options.model,
      seq_id: int(50),
      forward_input: { data: [datum()], loss_fn: "cross_entropy" }
    }),
    "/optim_step": () => ({
      model_id: options.model,
      seq_id: int(50),
      adam_params: { learning_rate: pick([1e308, -1, "x", null]), beta1: 7 }
    }),
    "/save_weights": () => ({
      model_id: options.model,
      seq_id: int(50),
      path: pick(["..", "../../x", "a/b", "a\u0000", "", ".x", "x".repeat(5000), "ok"]),
      ttl_seconds: pick([-1, 0, 1e300, undefined])
    }),
    "/save_weights_for_sampler": () => ({
      model_id: options.model,
      seq_id: int(50),
      path: pick(["../x", "/etc/passwd", "ok"]),
      sampling_session_seq_id: pick([-1, 1e300, undefined])
    }),
    "/save_weights_external": () => ({ model_id: options.model, seq_id: int(50), path: pick(["../x", "ok"]) }),
    "/load_weights": () => ({
      model_id: options.model,
      seq_id: int(50),
      path: pick(["tinker://../weights/x", "tinker://a/weights/../../x", "file:///etc/passwd"]),
      optimizer: true
    }),
    "/asample": () => ({
      base_model: TestEngine.baseModel,
      num_samples: pick([1, -1, 0, 1e9]),
      prompt: { chunks: [{ type: "encoded_text", tokens: pick([[1], [], [-5], [1e9]]) }] },
      sampling_params: {
        max_tokens: pick([1, -1, 1e9, null]),
        temperature: pick([-1, 1e308, 1]),
        top_p: pick([-1, 2, 1]),
        top_k: pick([0, -5, 1.5]),
        stop: pick(["", [1.5], [[]], ["x"]])
      }
    }),
    "/create_sampling_session": () => ({
      session_id: options.session,
      sampling_session_seq_id: pick([0, -1, 1e300]),
      model_path: "tinker://../sampler_weights/x"
    }),
    "/retrieve_future": () => ({
      request_id: pick([options.model, "../x", `${options.model}:0`]),
      allow_metadata_only: pick([true, "x"])
    }),
    "/copy_weights": () => ({
      source_path: "tinker://../weights/x",
      session_id: options.session,
      model_seq_id: pick([0, 7, -1])
    })
  }

  /** A body with one of its fields, however deep, replaced. */
  const mutated = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null || random() < 0.15) return pick(nasty)()
    const keys = Object.keys(value)
    if (keys.length === 0) return pick(nasty)()
    const chosen = pick(keys)
    const field = mutated((value as Record<string, unknown>)[chosen])
    return Array.isArray(value)
      ? value.map((item, index) => (String(index) === chosen ? field : item))
      : { ...value, [chosen]: field }
  }

  const tricks = [
    "..",
    "%2e%2e",
    "..%2f..%2fetc",
    "%00",
    "%zz",
    ".",
    "a%2fb",
    "%ff%fe",
    "é",
    "x".repeat(3000),
    "a:b;c",
    "con",
    options.model
  ]
  const filled = (path: string) => path.replace(/:\w+/g, () => (random() < 0.5 ? pick(tricks) : "weights"))

  const http = (method: string, target: string, body: Uint8Array, headers: Record<string, string> = {}) => {
    const all: Record<string, string> = {
      host: "x",
      connection: "close",
      "x-api-key": key,
      "content-type": "application/json",
      "content-length": String(body.length),
      ...headers
    }
    const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
    return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${head.join("")}\r\n`, "latin1"), body])
  }
  const post = (path: string, body: Uint8Array, headers?: Record<string, string>) =>
    http("POST", `/api/v1${path}`, body, headers)
  const postPath = () => filled(pick(endpoints.filter(({ method }) => method === "POST")).path)
  const nothing = new Uint8Array(0)

  const attacks: ReadonlyArray<() => Uint8Array> = [
    // not HTTP
    () => bytes(1 + int(2000)),
    // bodies of random bytes, in every encoding
    () => post(postPath(), bytes(int(3000))),
    () => post("/forward_backward", bytes(int(3000)), { "content-type": "application/x-protobuf" }),
    () => post(postPath(), bytes(int(3000)), { "content-encoding": pick(["zstd", "gzip", "br", "zstd, zstd"]) }),
    // protobuf with one wrong byte
    () => {
      const pass = new Uint8Array([
        10,
        options.model.length,
        ...utf8(options.model),
        16,
        int(50),
        26,
        4,
        10,
        2,
        10,
        0,
        ...bytes(int(40))
      ])
      pass[int(pass.length)] = int(256)
      return post("/forward_backward", pass, { "content-type": "application/x-protobuf" })
    },
    // a length that exceeds the body
    () =>
      post("/forward_backward", new Uint8Array([26, 0xff, 0xff, 0xff, 0xff, 0x0f]), {
        "content-type": "application/x-protobuf"
      }),
    // JSON that does not match the schema
    () => post(postPath(), json(pick(nasty)())),
    () =>
      post(
        postPath(),
        utf8(pick(["[".repeat(100_000), '{"a":'.repeat(20_000), "{", "nul", '"', "1e999", "\ufeff{}", "{}{}"]))
      ),
    () => {
      const path = pick(Object.keys(bodies))
      return post(path, json(bodies[path]!()))
    },
    () => {
      const path = pick(Object.keys(bodies))
      return post(path, json(mutated(bodies[path]!())))
    },
    // zip bombs, and bodies above the limit
    () =>
      post("/forward_backward", options.bomb, {
        "content-encoding": "zstd",
        "content-type": pick(["application/json", "application/x-protobuf"])
      }),
    () => post(postPath(), nothing, { "content-length": pick(["99999999999", "-1", "x", "1e3", "1048577"]) }),
    () => post(postPath(), gzipSync(new Uint8Array(100_000)), { "content-encoding": "gzip" }),
    // invalid chunked encoding
    () =>
      Buffer.concat([
        Buffer.from(
          `POST /api/v1/create_session HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: ${key}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${pick(["fffffff\r\n{}", "zz\r\n", "2\r\n{}\r\n0\r\n\r\n", "-1\r\n"])}`
        ),
        bytes(int(50))
      ]),
    // path traversal
    () => http(pick(["GET", "DELETE"]), `/api/v1${filled(pick(endpoints).path)}`, nothing),
    () =>
      http(
        "GET",
        pick([
          "/",
          "//",
          "/api/v1/../../etc/passwd",
          "/api/v1/downloads/%2e%2e/%2e%2e/%2e%2e/etc",
          "*",
          "http://other/api/v1/healthz",
          "/api/v1/checkpoints?limit=-1",
          "/api/v1/checkpoints?limit=1e9&offset=x",
          "/api/v1/checkpoints?limit=9007199254740993",
          "/api/v1/audit?day=x",
          `/${"a/".repeat(3000)}`,
          "/api/v1/%E0%A4%A"
        ]),
        nothing
      ),
    // URLs that were signed for another file
    () =>
      http(
        "GET",
        pick([
          options.signed.replace(/signature=../, "signature=zz"),
          options.signed.replace(/expires=\d/, "expires=9"),
          options.signed.replace("/weights/", "/sampler_weights/"),
          `${options.signed}&expires=9e99`
        ]),
        nothing,
        { range: pick(["bytes=9-1", "bytes=999999999-", "bytes=-1", "x"]) }
      ),
    // methods
    () =>
      http(
        pick(["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "CONNECT", "PURGE", "GET", "FOO"]),
        `/api/v1${filled(pick(endpoints).path)}`,
        utf8("{}")
      ),
    // headers
    () =>
      post("/create_session", utf8("{}"), {
        "x-api-key": pick(["", "tml-wrong", key.slice(0, -1), `${key}x`, "é".repeat(100), "k".repeat(12_000)])
      }),
    () =>
      post(postPath(), utf8("{}"), {
        "content-type": pick([
          "text/html",
          "",
          "multipart/form-data; boundary=x",
          "application/x-www-form-urlencoded",
          "application/json; charset=utf-16"
        ])
      }),
    () =>
      post("/retrieve_future", utf8(JSON.stringify({ request_id: `${options.model}:0` })), {
        accept: pick(["*/*", "", "application/x-protobuf", "x".repeat(1000)])
      })
  ]
  let turn = 0
  // round robin, so that no kind is missing
  return () => attacks[turn++ % attacks.length]!()
}

describe("the service", () => {
  it.scopedLive(
    "survives a thousand hostile requests without a 5xx response, and its data stays intact",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const around = yield* fs.makeTempDirectoryScoped()
        const directory = `${around}/a/store`
        yield* fs.makeDirectory(directory, { recursive: true })
        const logged: Array<string> = []
        const logger = Logger.replace(
          Logger.defaultLogger,
          Logger.make(({ logLevel, message }) => {
            logged.push(`${logLevel.label} ${String(message)}`)
          })
        )
        const context = yield* Layer.build(
          NodeServer.layer({
            apiKeys: [Redacted.make(key)],
            longPoll: "50 millis",
            gapTimeout: "200 millis",
            maxBodySize: 1024 * 1024,
            maxDecompressedSize: 1024 * 1024
          }).pipe(
            Layer.provide(TestEngine.layer()),
            Layer.provide(CheckpointStore.layerFileSystem(directory)),
            Layer.provide(Store.layerMemory),
            Layer.provide(logger)
          )
        )
        const url = yield* Effect.provide(NodeServer.baseUrl, context)
        const port = Number(new URL(url).port)
        const authorized = HttpClient.mapRequest(yield* HttpClient.HttpClient, (request) =>
          request.pipe(
            HttpClientRequest.setUrl(request.url.replace(/^http:\/\/[^/]+/, url)),
            HttpClientRequest.setHeader("x-api-key", key)
          )
        )
        const honest = Effect.provideService(HttpClient.HttpClient, authorized)

        const loss = (model_id: string) =>
          client.run("/forward", { model_id, forward_input: client.input(client.datum([1, 2, 3])) })
        const victim = yield* honest(
          Effect.gen(function* () {
            const model_id = yield* client.createModel(yield* client.createSession)
            yield* client.forwardBackward(model_id)
            yield* client.optimStep(model_id)
            const { path } = yield* client.run("/save_weights", { model_id, path: "kept" })
            return { model_id, path: path as string, before: yield* loss(model_id) }
          })
        )
        const attacker = yield* honest(
          Effect.gen(function* () {
            const session = yield* client.createSession
            const model = yield* client.createModel(session)
            const { path } = yield* client.run("/save_weights", { model_id: model, path: "mine" })
            const id = (path as string).slice("tinker://".length).replace("/weights/", "/checkpoints/weights/")
            const { body } = yield* client
              .get(`/training_runs/${id}/archive`)
              .pipe(Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" }))
            const signed = new URL(body.url)
            return { session, model, signed: `${signed.pathname}${signed.search}` }
          })
        )
        const zstd = yield* Zstd.make
        const bomb = yield* zstd.compress(new Uint8Array(64 * 1024 * 1024))
        assert.isBelow(bomb.length, 100_000)

        const next = makeAttacks({ seed: 20261125, bomb, ...attacker })
        const statuses = new Map<number | undefined, number>()
        yield* Effect.forEach(
          Array.from({ length: 1000 }, (_, index) => index),
          (index) =>
            Effect.suspend(() => {
              const attack = next()
              return Effect.map(exchange(port, attack), (reply) => {
                const shown = `${index}: ${Buffer.from(attack.subarray(0, 300)).toString("latin1")}\n${reply?.status} ${reply?.body.slice(0, 300)}`
                statuses.set(reply?.status, (statuses.get(reply?.status) ?? 0) + 1)
                assert.isFalse((reply?.status ?? 0) >= 500, shown)
              })
            }),
          { concurrency: 8 }
        )
        assert.isAbove(statuses.get(422) ?? 0, 100)
        assert.isAbove(statuses.get(404) ?? 0, 20)
        assert.isAbove(statuses.get(401) ?? 0, 20)
        assert.isAbove(statuses.get(413) ?? 0, 20)

        assert.deepStrictEqual(
          logged.filter((line) => line.startsWith("ERROR")),
          []
        )
        assert.isFalse(logged.some((line) => line.includes(key)))
        assert.isUndefined(({} as { polluted?: unknown }).polluted)
        yield* honest(
          Effect.gen(function* () {
            assert.strictEqual((yield* client.get("/healthz")).status, 200)
            assert.deepStrictEqual(yield* loss(victim.model_id), victim.before)
            const session_id = yield* client.createSession
            const loaded = { session_id, model_seq_id: 0, path: victim.path, optimizer: true }
            const { model_id } = yield* client.run("/load_weights", loaded)
            assert.deepStrictEqual(yield* loss(model_id), victim.before)
          })
        )
        const store = yield* Effect.provide(CheckpointStore.makeFileSystem(directory), Store.layerMemory)
        const kept = yield* store.load(Option.getOrThrow(TinkerPath.parse(victim.path)))
        assert.strictEqual(kept.optimizer?.step, 1)
        const outside = (yield* fs.readDirectory(around, { recursive: true })).filter(
          (name) => !name.startsWith("a/store")
        )
        assert.deepStrictEqual(outside, ["a"])
      }).pipe(Effect.provide(Layer.merge(NodeContext.layer, FetchHttpClient.layer))),
    60_000
  )
})
