import * as CheckpointDownload from "@effect-tinker/client/CheckpointDownload"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import type * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Runtime } from "effect"
import { gzipSync } from "node:zlib"
import {
  apiKey,
  archive,
  content,
  cut,
  download,
  inDirectory,
  listener,
  path,
  range,
  whole,
  withFiles
} from "./utils/downloads.ts"
import { tar } from "./utils/tar.ts"

describe("a download", () => {
  it.scopedLive("unpacks the archive of a checkpoint unchanged, or as PEFT reads it", () =>
    Effect.gen(function* () {
      const engine = yield* TestEngine.make()
      const server = NodeServer.layer({ apiKeys: [apiKey] }).pipe(
        Layer.provide([engine.layer, CheckpointStore.layerMemory, Store.layerMemory])
      )
      yield* Effect.gen(function* () {
        const baseUrl = yield* NodeServer.baseUrl
        yield* inDirectory(baseUrl, (directory, fs) =>
          Effect.gen(function* () {
            const saved = yield* Effect.gen(function* () {
              const service = yield* ServiceClient.ServiceClient
              const training = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 4 })
              return yield* Fiber.join(yield* training.saveState("a"))
            }).pipe(Effect.scoped, Effect.provide(ServiceClient.layer({ apiKey, baseUrl })))
            const seen: Array<number> = []
            const { files, received } = yield* CheckpointDownload.download(saved.path, {
              directory: `${directory}/deep/a`,
              onProgress: ({ received, total }) =>
                Effect.sync(() => {
                  seen.push(received)
                  assert.isAtLeast(total!, received)
                })
            })
            assert.deepStrictEqual(
              files.map(({ name }) => name),
              ["adapter_config.json", "adapter_model.safetensors", "checkpoint_complete"]
            )
            assert.strictEqual(seen.at(-1), received)
            const peft = yield* CheckpointDownload.exportPeft(saved.path, { directory: `${directory}/peft` })
            assert.deepStrictEqual(
              peft.files.map(({ name }) => name),
              ["adapter_config.json", "adapter_model.safetensors"]
            )
            const config = JSON.parse(yield* fs.readFileString(`${directory}/peft/adapter_config.json`))
            assert.strictEqual(config.base_model_name_or_path, TestEngine.baseModel)
            assert.strictEqual(config.r, 4)
            assert.deepStrictEqual(yield* fs.readDirectory(directory), ["deep", "peft"])
          })
        )
      }).pipe(Effect.provide(server))
    })
  )

  it.scopedLive("resumes after a lost connection, and never sends the key to the host of the files", () =>
    Effect.gen(function* () {
      const { files, service } = yield* withFiles((request, response, count) => {
        const from = range(request)
        const rest = archive.length - from
        const headers = {
          etag: '"1"',
          "content-length": rest,
          ...(from > 0 ? { "content-range": `bytes ${from}-${archive.length - 1}/${archive.length}` } : {})
        }
        if (count < 4) return cut(response, from, 70_000, headers)
        response.writeHead(from === 0 ? 200 : 206, headers).end(archive.subarray(from))
      })
      const result = yield* inDirectory(service.url, (directory, fs) =>
        Effect.gen(function* () {
          const downloaded = yield* download(directory)
          assert.deepStrictEqual(new Uint8Array(yield* fs.readFile(`${directory}/out/big.bin`)), content)
          return downloaded
        })
      )
      assert.strictEqual(result.received, archive.length)
      assert.strictEqual(files.requests.length, 4)
      // bytes in transit are lost with the connection
      const starts = files.requests.map(({ headers }) => Number(/\d+/.exec(headers.range ?? "0")![0]))
      assert.strictEqual(starts[0], 0)
      for (const [i, start] of starts.slice(1).entries()) {
        assert.isTrue(start > starts[i]! && start <= starts[i]! + 70_000, starts.join(", "))
      }
      assert.strictEqual(files.requests[1]!.headers["if-range"], '"1"')
      assert.strictEqual(service.requests[0]!.headers["x-api-key"], "tml-download-key")
      assert.isTrue(files.requests.every(({ headers }) => headers["x-api-key"] === undefined))
    })
  )

  it.scopedLive("starts over if the server supports no ranges or the file has changed", () =>
    Effect.gen(function* () {
      for (const headers of [{ "content-length": archive.length }, { "content-length": archive.length, etag: '"2"' }]) {
        const { files, service } = yield* withFiles((_, response, count) =>
          count === 1 ? cut(response, 0, 50_000, headers) : whole(response)
        )
        yield* inDirectory(service.url, (directory, fs) =>
          Effect.gen(function* () {
            assert.strictEqual((yield* download(directory)).received, archive.length)
            assert.deepStrictEqual(new Uint8Array(yield* fs.readFile(`${directory}/out/big.bin`)), content)
          })
        )
        assert.strictEqual(files.requests.length, 2)
      }
    })
  )

  it.scopedLive("requests a new signed URL when the old one has expired or is rejected", () =>
    Effect.gen(function* () {
      let asked = 0
      const expired = yield* withFiles(
        (request, response) => (request.url!.endsWith("signature=1") ? response.writeHead(500).end() : whole(response)),
        () => (++asked === 1 ? "Wed, 25 Nov 1998 12:00:00 GMT" : "Wed, 25 Nov 2099 12:00:00 GMT")
      )
      const refused = yield* withFiles((request, response) =>
        request.url!.endsWith("signature=1")
          ? response.writeHead(403, { "content-length": 2 }).end("no")
          : whole(response)
      )
      for (const { files, service } of [expired, refused]) {
        yield* inDirectory(service.url, (directory) => download(directory))
        assert.strictEqual(files.requests.at(-1)!.url, "/file?signature=2")
        assert.strictEqual(service.requests.length, 2)
      }
    })
  )

  it.scopedLive("leaves nothing behind when it fails", () =>
    Effect.gen(function* () {
      const short = yield* withFiles((request, response) => {
        // announces more bytes than it sends, again and again
        const from = range(request)
        response.writeHead(from === 0 ? 200 : 206, {
          "content-length": 10,
          ...(from > 0 ? { "content-range": `bytes ${from}-9/10` } : {})
        })
        response.write(from === 0 ? "12345" : "", () => setImmediate(() => response.destroy()))
      })
      const gone = yield* withFiles((_, response) => response.writeHead(404, { "content-length": 2 }).end("no"))
      const page = yield* withFiles((_, response) => whole(response, new TextEncoder().encode("<html>".repeat(300))))
      const large = yield* withFiles((_, response) => whole(response))
      const bomb = yield* withFiles((_, response) =>
        whole(response, gzipSync(tar({ name: "a", content: new Uint8Array(5_000_000) })))
      )
      const noAdapter = yield* withFiles((_, response) => whole(response))
      const cases = [
        [short, "TransportError", {}],
        [gone, "NotFound", {}],
        [page, "FileError", {}],
        [large, "FileError", { maxSize: 1000 }],
        [bomb, "FileError", { maxSize: 1_000_000 }]
      ] as const
      for (const [{ service }, tag, options] of cases) {
        yield* inDirectory(service.url, (directory, fs) =>
          Effect.gen(function* () {
            const error = yield* Effect.flip(download(directory, options))
            assert.strictEqual(error._tag, tag)
            assert.deepStrictEqual(yield* fs.readDirectory(directory), [])
          })
        )
      }
      yield* inDirectory(noAdapter.service.url, (directory, fs) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(CheckpointDownload.exportPeft(path, { directory: `${directory}/out` }))
          assert.strictEqual(error._tag, "FileError")
          assert.deepStrictEqual(yield* fs.readDirectory(directory), [])
        })
      )
    })
  )

  it.scopedLive("replaces a directory only with the option `replace`, and in one step", () =>
    Effect.gen(function* () {
      const { files, service } = yield* withFiles((_, response) => whole(response))
      const broken = yield* withFiles((_, response) => whole(response, archive.subarray(0, 100_000)))
      const old = (directory: string, fs: FileSystem.FileSystem) =>
        Effect.andThen(fs.makeDirectory(`${directory}/out`), fs.writeFileString(`${directory}/out/mine.txt`, "mine"))
      yield* inDirectory(service.url, (directory, fs) =>
        Effect.gen(function* () {
          yield* old(directory, fs)
          assert.strictEqual((yield* Effect.flip(download(directory)))._tag, "FileError")
          assert.strictEqual(files.requests.length, 0, "it fails before anything is downloaded")
          assert.deepStrictEqual(yield* fs.readDirectory(`${directory}/out`), ["mine.txt"])
          yield* download(directory, { replace: true })
          assert.deepStrictEqual((yield* fs.readDirectory(`${directory}/out`)).sort(), [
            "adapter_config.json",
            "big.bin"
          ])
          assert.deepStrictEqual(yield* fs.readDirectory(directory), ["out"])
        })
      )
      yield* inDirectory(broken.service.url, (directory, fs) =>
        Effect.gen(function* () {
          yield* old(directory, fs)
          yield* Effect.flip(download(directory, { replace: true }))
          assert.strictEqual(yield* fs.readFileString(`${directory}/out/mine.txt`), "mine")
          assert.deepStrictEqual(yield* fs.readDirectory(directory), ["out"])
        })
      )
    })
  )

  it.scopedLive("leaves nothing behind and closes its connection when it is interrupted", () =>
    Effect.gen(function* () {
      const runtime = yield* Effect.runtime()
      const closed = yield* Deferred.make<void>()
      const { service } = yield* withFiles((_, response) => {
        response.writeHead(200, { "content-length": archive.length })
        response.write(archive.subarray(0, 50_000))
        response.on("close", () => Runtime.runFork(runtime)(Deferred.succeed(closed, undefined)))
      })
      yield* inDirectory(service.url, (directory, fs) =>
        Effect.gen(function* () {
          const arrived = yield* Deferred.make<void>()
          const fiber = yield* Effect.fork(
            download(directory, {
              onProgress: ({ received }) =>
                received > 0 ? Effect.asVoid(Deferred.succeed(arrived, undefined)) : Effect.void
            })
          )
          yield* Deferred.await(arrived)
          yield* Fiber.interrupt(fiber)
          yield* Effect.timeout(Deferred.await(closed), "5 seconds")
          assert.deepStrictEqual(yield* fs.readDirectory(directory), [])
        })
      )
    })
  )

  it.scopedLive("downloads an external checkpoint file by file, and only into its directory", () =>
    Effect.gen(function* () {
      const external = "tinker://run/external_weights/e"
      const files = yield* listener((_, response) => whole(response, new TextEncoder().encode("x")))
      const service = yield* listener((request, response) => {
        const urls = request.url!.includes("evil")
          ? { "../evil": `${files.url}/evil` }
          : { "a.json": `${files.url}/a`, "sub/b.bin": `${files.url}/b` }
        const body = JSON.stringify({ urls, expires: "2099-01-01T00:00:00Z" })
        response.writeHead(200, { "content-type": "application/json", "content-length": body.length }).end(body)
      })
      yield* inDirectory(service.url, (directory, fs) =>
        Effect.gen(function* () {
          const { files: names } = yield* CheckpointDownload.download(external, { directory: `${directory}/out` })
          assert.deepStrictEqual(
            names.map(({ name }) => name),
            ["a.json", "sub/b.bin"]
          )
          assert.strictEqual(service.requests.length, 1)
          const evil = CheckpointDownload.download("tinker://run/external_weights/evil", {
            directory: `${directory}/evil`
          })
          assert.strictEqual((yield* Effect.flip(evil))._tag, "FileError")
          assert.deepStrictEqual(yield* fs.readDirectory(directory), ["out"])
        })
      )
    })
  )
})
