/**
 * What the OpenAI protocol costs beside the engine, which is a double that takes no time: CPU of the service for a
 * completion, compared with a bare Node server and with a router of the platform that answer the same bytes; the time to the
 * first byte of a stream; and the memory of 1,000 open streams, opened and closed several times. The clients run in another
 * process. Rounds of the three servers take turns, so that what else the machine does falls on all of them.
 */
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Engine from "@effect-tinker/server/Engine"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as Store from "@effect-tinker/server/Store"
import type * as TextFormats from "@effect-tinker/server/TextFormats"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { spawn } from "node:child_process"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import { figure } from "./figure.ts"

const count = Number(process.env["COMPLETIONS"] ?? 10_000)
const inFlight = 32
const openStreams = 1000

const text = (tokens: Iterable<number>) => String.fromCharCode(...tokens)

const reader = (): TextFormats.Reader => ({
  push: (tokens) => [{ _tag: "Text", text: text(tokens) }],
  end: Effect.succeed([])
})

const formats: TextFormats.Service = {
  forModel: () =>
    Effect.succeed({
      encode: (text) => Array.from(text, (char) => char.charCodeAt(0)),
      decode: text,
      reader,
      chat: { stop: [], prompt: () => Effect.die("no chats"), reader }
    })
}

const client = (...args: ReadonlyArray<string>) => {
  const script = fileURLToPath(new URL("serve/client.ts", import.meta.url))
  const child = spawn(process.execPath, ["--import", "tsx", script, ...args], { stdio: ["pipe", "pipe", "inherit"] })
  const line = new Promise<string>((resolve) => child.stdout.once("data", (part: Buffer) => resolve(part.toString())))
  const ended = new Promise<void>((resolve, reject) =>
    child.once("exit", (code) =>
      code === 0 ? resolve() : reject(new Error(`the client of ${args.join(" ")} ended with ${code}`))
    )
  )
  return { line, ended, stop: () => child.stdin.write("stop\n") }
}

/** CPU of this process for a completion of each server, in milliseconds: the least of some rounds. */
const cpuOf = async (urls: ReadonlyArray<string>): Promise<ReadonlyArray<number>> => {
  for (const url of urls) await client("load", url, "2000", String(inFlight)).ended
  const least = urls.map(() => Infinity)
  for (let round = 0; round < 4; round++) {
    for (const [i, url] of urls.entries()) {
      const before = process.cpuUsage()
      await client("load", url, String(count), String(inFlight)).ended
      const { system, user } = process.cpuUsage(before)
      least[i] = Math.min(least[i]!, (system + user) / 1000 / count)
    }
  }
  return least
}

const model = "effect-tinker/test"

const response = {
  sequences: [
    {
      stop_reason: "stop" as const,
      tokens: Int32Array.from({ length: 16 }, (_, i) => 97 + i),
      logprobs: new Float32Array(16).fill(-1)
    }
  ],
  prompt_cache_hit_tokens: 0,
  type: "sample" as const
}

const noTraining = () => new Engine.EngineError({ reason: "it does not train", category: "user" })

/** An engine that says the same sixteen tokens, at once or never. */
const layerEngine = (sample: Engine.EngineSampler["sample"]) =>
  Layer.succeed(Engine.Engine, {
    models: [{ model_name: model, max_context_length: 2048 }],
    createModel: noTraining,
    createSampler: () => Effect.succeed({ sample })
  })

const listen = (sample: Engine.EngineSampler["sample"]) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      NodeServer.layer({ openAi: { formats }, concurrency: 2000 }).pipe(
        Layer.provide([layerEngine(sample), CheckpointStore.layerMemory, Store.layerMemory])
      )
    )
    return yield* Effect.provide(NodeServer.baseUrl, context)
  })

/** A server that keeps connections as long as the service does: on a busy machine clients may pause longer than Node's 5 s. */
const makeServer = (listener?: Http.RequestListener) => {
  const server = listener === undefined ? Http.createServer() : Http.createServer(listener)
  server.keepAliveTimeout = 75_000
  return server
}

/** A server that reads the request, and answers these bytes. */
const bare = (bytes: string) =>
  Effect.acquireRelease(
    Effect.async<Http.Server>((resume) => {
      const server = makeServer((request, response) => {
        request.resume()
        request.on("end", () => response.writeHead(200, { "content-type": "application/json" }).end(bytes))
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.closeAllConnections())
  )

/** A router of the platform that parses the request as JSON, and answers these bytes. */
const router = (bytes: string) =>
  Effect.gen(function* () {
    const answer = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ json }) =>
      Effect.as(json, HttpServerResponse.text(bytes, { contentType: "application/json" }))
    )
    const app = HttpRouter.empty.pipe(HttpRouter.post("/v1/completions", answer), HttpServer.serve())
    const server = NodeHttpServer.layer(() => makeServer(), { host: "127.0.0.1", port: 0 })
    const context = yield* Layer.build(Layer.provideMerge(app, server))
    return yield* Effect.provide(HttpServer.addressFormattedWith(Effect.succeed), context)
  })

const heap = () => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed / 2 ** 20
}

/** Opens and closes streams, and returns the time to the first byte, and the memory while they are open and afterwards. */
const round = async (url: string, streams: number) => {
  const opened = client("streams", url, String(streams))
  const firstByte = Number(await opened.line)
  const open = heap()
  opened.stop()
  await opened.ended
  await new Promise((resolve) => setTimeout(resolve, 500))
  return { firstByte, open, closed: heap() }
}

const program = (print: (line: string) => void) =>
  Effect.gen(function* () {
    const url = yield* listen(() => Effect.succeed(response))
    const sent = { model: model, prompt: "hello", max_tokens: 16, seed: 1, temperature: 0 }
    const request = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(sent) }
    const bytes = yield* Effect.promise(() =>
      fetch(`${url}/v1/completions`, request).then((response) => response.text())
    )
    const plain = yield* bare(bytes)
    const port = (plain.address() as AddressInfo).port
    const urls = [url, `http://127.0.0.1:${port}`, yield* router(bytes)]
    const [ours, node, platform] = (yield* Effect.promise(() => cpuOf(urls))) as [number, number, number]
    const slow = yield* listen(() => Effect.never)
    const alone = yield* Effect.promise(() => round(slow, 1))
    const rounds: Array<Awaited<ReturnType<typeof round>>> = []
    // the traces of the last 4,000 operations are kept
    for (let i = 0; i < 7; i++) rounds.push(yield* Effect.promise(() => round(slow, openStreams)))
    const [first, second, third] = rounds.slice(-3) as [(typeof rounds)[0], (typeof rounds)[0], (typeof rounds)[0]]
    print(figure("cpu per completion", ours, "ms", { name: "a bare Node server of the same bytes", value: node }))
    print(figure("the same beside a router", ours, "ms", { name: "a router of the platform", value: platform }))
    print(figure("cpu of the service beyond that router", ours - platform, "ms"))
    print(figure("first byte of a stream", alone.firstByte, "ms"))
    print(figure("first byte of 100 streams at a time", second.firstByte, "ms"))
    print(figure("memory of an open stream", ((second.open - first.closed) / openStreams) * 1024, "KiB"))
    print(figure("memory left by 1,000 closed streams", third.closed - second.closed, "MiB"))
  }).pipe(Effect.scoped)

export default (print: (line: string) => void = console.log) => Effect.runPromise(program(print))
