/** Servers of checkpoint files that fail in many ways, and downloads from them. */
import * as CheckpointDownload from "@effect-tinker/client/CheckpointDownload"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import { Effect, Layer, Redacted } from "effect"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { tar } from "./tar.ts"

export const apiKey = Redacted.make("tml-download-key")

/** An HTTP server that records its requests. It has no client configuration, and accepts no telemetry. */
export const listener = (
  answer: (request: Http.IncomingMessage, response: Http.ServerResponse, count: number) => void
) =>
  Effect.gen(function* () {
    const requests: Array<{ url: string; headers: Http.IncomingHttpHeaders }> = []
    const server = yield* Effect.acquireRelease(
      Effect.async<Http.Server>((resume) => {
        const server = Http.createServer((request, response) => {
          if (/\/(client\/config|telemetry)$/.test(request.url!)) {
            response.writeHead(404, { "content-length": 2 }).end("{}")
            return
          }
          requests.push({ url: request.url!, headers: request.headers })
          answer(request, response, requests.filter(({ url }) => url === request.url).length)
        }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    )
    return { requests, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  })

export const path = "tinker://run/weights/a"

export const inDirectory = <A, E>(
  baseUrl: string,
  program: (
    directory: string,
    fs: FileSystem.FileSystem
  ) => Effect.Effect<A, E, RestClient.RestClient | Layer.Layer.Success<typeof services>>
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped()
    return yield* program(directory, fs)
  }).pipe(
    RetryPolicy.withRetryPolicy({ first: "10 millis", cap: "50 millis", timeout: "2 seconds" }),
    Effect.provide(RestClient.layer({ apiKey, baseUrl })),
    Effect.provide(services)
  )

const services = Layer.merge(FetchHttpClient.layer, NodeContext.layer)

export const content = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 251)
export const archive = tar({ name: "adapter_config.json", content: "{}" }, { name: "big.bin", content })

/** A service whose archives are on another host; `serve` sends the file. */
export const withFiles = (
  serve: (request: Http.IncomingMessage, response: Http.ServerResponse, count: number) => void,
  expires = () => "Wed, 25 Nov 2099 12:00:00 GMT"
) =>
  Effect.gen(function* () {
    const files = yield* listener(serve)
    let urls = 0
    const service = yield* listener((_, response) => {
      response.writeHead(302, { location: `${files.url}/file?signature=${++urls}`, expires: expires() }).end()
    })
    return { files, service }
  })

export const whole = (response: Http.ServerResponse, bytes: Uint8Array = archive) =>
  response.writeHead(200, { "content-length": bytes.length }).end(bytes)

/** Sends only `count` bytes, and closes the connection. */
export const cut = (
  response: Http.ServerResponse,
  from: number,
  count: number,
  headers: Record<string, string | number>
) => {
  response.writeHead(from === 0 ? 200 : 206, headers)
  response.write(archive.subarray(from, from + count), () => setImmediate(() => response.destroy()))
}

export const range = (request: Http.IncomingMessage) =>
  Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0)

export const download = (directory: string, options: Partial<CheckpointDownload.Options> = {}) =>
  CheckpointDownload.download(path, { directory: `${directory}/out`, ...options })
