import * as CheckpointDownload from "@effect-tinker/client/CheckpointDownload"
import type * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { spawn } from "node:child_process"
import type * as Http from "node:http"
import { createRequire } from "node:module"
import { fileURLToPath, pathToFileURL } from "node:url"
import { archive, content, download, inDirectory, listener, path, range, whole, withFiles } from "../utils/downloads.ts"

const program = fileURLToPath(new URL("../utils/downloadProgram.ts", import.meta.url))
const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href

const start = (baseUrl: string, source: string, directory: string) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [
        "--conditions=effect-tinker-source",
        "--import",
        tsx,
        program,
        baseUrl,
        source,
        `${directory}/out`
      ])
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** The bytes that are in unfinished downloads below a directory. */
const unfinished = (directory: string, fs: FileSystem.FileSystem) =>
  Effect.gen(function* () {
    let bytes = 0
    for (const name of yield* fs.readDirectory(directory, { recursive: true })) {
      if (/\/(archive|new\/.*)$/.test(name)) bytes += Number((yield* fs.stat(`${directory}/${name}`)).size)
    }
    return bytes
  }).pipe(Effect.orElseSucceed(() => 0))

/** Starts a process that downloads into `out`, and kills it when it has written so many bytes. */
const killAfter = (
  bytes: number,
  options: { readonly baseUrl: string; readonly source?: string; readonly directory: string; fs: FileSystem.FileSystem }
) =>
  Effect.gen(function* () {
    const child = yield* start(options.baseUrl, options.source ?? path, options.directory)
    const closed = yield* Deferred.make<void>()
    child.on("close", () => Deferred.unsafeDone(closed, Effect.void))
    const isThere = Effect.map(unfinished(options.directory, options.fs), (count) => count >= bytes)
    yield* Effect.repeat(Effect.delay(isThere, "10 millis"), { until: (enough) => enough })
    child.kill("SIGKILL")
    yield* Deferred.await(closed)
    assert.strictEqual((yield* options.fs.readDirectory(options.directory)).length, 1, "something is left of it")
  }).pipe(Effect.scoped, Effect.timeout("20 seconds"))

/** Sends a file, or the range of it that is requested if it is the same file. */
const serve = (request: Http.IncomingMessage, response: Http.ServerResponse, file: Uint8Array, etag: string) => {
  const isSame = (request.headers["if-range"] ?? etag) === etag
  const from = isSame ? range(request) : 0
  const isRange = isSame && request.headers.range !== undefined
  response.writeHead(isRange ? 206 : 200, {
    etag,
    "content-length": file.length - from,
    ...(isRange ? { "content-range": `bytes ${from}-${file.length - 1}/${file.length}` } : {})
  })
  return file.subarray(from)
}

/** The first response stops after 100,000 bytes, and waits. */
const stalledAtFirst = (etags: ReadonlyArray<string>, file: (count: number) => Uint8Array = () => archive) =>
  withFiles((request, response) => {
    const isFirst = !stalled.has(response.req.headers.host!)
    stalled.add(response.req.headers.host!)
    const bytes = serve(request, response, file(isFirst ? 0 : 1), etags[isFirst ? 0 : 1]!)
    if (isFirst) response.write(bytes.subarray(0, 100_000))
    else response.end(bytes)
  })
const stalled = new Set<string>()

const expectWhole = (directory: string, fs: FileSystem.FileSystem) =>
  Effect.gen(function* () {
    assert.deepStrictEqual(new Uint8Array(yield* fs.readFile(`${directory}/out/big.bin`)), content)
    assert.deepStrictEqual(yield* fs.readDirectory(directory), ["out"])
  })

describe("a download whose process was killed", () => {
  it.scopedLive(
    "is resumed by the next one if the server has the same file",
    () =>
      Effect.gen(function* () {
        const { files, service } = yield* stalledAtFirst(['"1"', '"1"'])
        yield* inDirectory(service.url, (directory, fs) =>
          Effect.gen(function* () {
            yield* killAfter(100_000, { baseUrl: service.url, directory, fs })
            const { received } = yield* download(directory)
            assert.strictEqual(received, archive.length)
            yield* expectWhole(directory, fs)
          })
        )
        assert.strictEqual(files.requests.length, 2)
        assert.strictEqual(files.requests[1]!.headers.range, "bytes=100000-")
        assert.strictEqual(files.requests[1]!.headers["if-range"], '"1"')
      }),
    30_000
  )

  it.scopedLive(
    "starts over if the file has changed, also on a server that ignores If-Range",
    () =>
      Effect.gen(function* () {
        const other = archive.map((byte, i) => (i > 2000 && i < 90_000 ? byte ^ 1 : byte))
        const careful = yield* stalledAtFirst(['"1"', '"2"'], (count) => (count === 0 ? other : archive))
        const careless = yield* withFiles((request, response, count) => {
          delete request.headers["if-range"]
          const isFirst = count === 1 && request.url!.endsWith("signature=1")
          const bytes = serve(request, response, isFirst ? other : archive, isFirst ? '"1"' : '"2"')
          if (isFirst) response.write(bytes.subarray(0, 100_000))
          else response.end(bytes)
        })
        for (const { service } of [careful, careless]) {
          yield* inDirectory(service.url, (directory, fs) =>
            Effect.gen(function* () {
              yield* killAfter(100_000, { baseUrl: service.url, directory, fs })
              assert.strictEqual((yield* download(directory)).received, archive.length)
              yield* expectWhole(directory, fs)
            })
          )
        }
      }),
    30_000
  )

  it.scopedLive(
    "is removed if the server names no version of the file, or another checkpoint is downloaded",
    () =>
      Effect.gen(function* () {
        const { files, service } = yield* withFiles((_, response) =>
          files.requests.length === 1
            ? response.writeHead(200, { "content-length": archive.length }).write(archive.subarray(0, 100_000))
            : whole(response)
        )
        yield* inDirectory(service.url, (directory, fs) =>
          Effect.gen(function* () {
            yield* killAfter(100_000, { baseUrl: service.url, directory, fs })
            yield* download(directory)
            yield* expectWhole(directory, fs)
          })
        )
        assert.isUndefined(files.requests[1]!.headers.range)
        const named = yield* stalledAtFirst(['"1"', '"1"'])
        yield* inDirectory(named.service.url, (directory, fs) =>
          Effect.gen(function* () {
            yield* killAfter(100_000, { baseUrl: named.service.url, directory, fs })
            yield* CheckpointDownload.download("tinker://run/weights/other", { directory: `${directory}/out` })
            yield* expectWhole(directory, fs)
          })
        )
        assert.isUndefined(named.files.requests[1]!.headers.range)
      }),
    30_000
  )

  it.scopedLive(
    "keeps the files of an external checkpoint that it has, and resumes the one that it was at",
    () =>
      Effect.gen(function* () {
        let isFirst = true
        const files = yield* listener((request, response) => {
          const bytes = serve(request, response, content, `"${request.url}"`)
          if (isFirst && request.url === "/b") {
            isFirst = false
            response.write(bytes.subarray(0, 100_000))
          } else response.end(bytes)
        })
        const service = yield* listener((_, response) => {
          const urls = { "a.bin": `${files.url}/a`, "sub/b.bin": `${files.url}/b`, "sub/c.bin": `${files.url}/c` }
          const body = JSON.stringify({ urls, expires: "2099-01-01T00:00:00Z" })
          response.writeHead(200, { "content-type": "application/json", "content-length": body.length }).end(body)
        })
        const source = "tinker://run/external_weights/e"
        yield* inDirectory(service.url, (directory, fs) =>
          Effect.gen(function* () {
            yield* killAfter(content.length + 100_000, { baseUrl: service.url, source, directory, fs })
            const done = yield* CheckpointDownload.download(source, { directory: `${directory}/out` })
            assert.strictEqual(done.received, 3 * content.length)
            for (const { name } of done.files) {
              assert.deepStrictEqual(new Uint8Array(yield* fs.readFile(`${directory}/out/${name}`)), content)
            }
            assert.deepStrictEqual(yield* fs.readDirectory(directory), ["out"])
          })
        )
        // the last byte of a complete file is enough to know that it has not changed
        assert.deepStrictEqual(
          files.requests.slice(2).map(({ headers, url }) => [url, headers.range]),
          [
            ["/a", `bytes=${content.length - 1}-`],
            ["/b", "bytes=100000-"],
            ["/c", undefined]
          ]
        )
      }),
    30_000
  )

  it.scopedLive("is left alone while its process runs", () =>
    Effect.gen(function* () {
      const { service } = yield* withFiles((_, response) => whole(response))
      yield* inDirectory(service.url, (directory, fs) =>
        Effect.gen(function* () {
          const work = `${directory}/.out.part-abcdef`
          yield* fs.makeDirectory(work)
          const { hostname } = yield* Effect.promise(() => import("node:os"))
          yield* fs.writeFileString(
            `${work}/owner.json`,
            JSON.stringify({ host: hostname(), pid: process.ppid, uuid: "other" })
          )
          yield* download(directory)
          assert.sameMembers([...(yield* fs.readDirectory(directory))], ["out", ".out.part-abcdef"])
        })
      )
    })
  )

  it.scopedLive("puts back the directory that it was about to replace", () =>
    Effect.gen(function* () {
      const { service } = yield* withFiles((_, response) => response.writeHead(404).end())
      yield* inDirectory(service.url, (directory, fs) =>
        Effect.gen(function* () {
          const work = `${directory}/.out.part-abcdef`
          yield* fs.makeDirectory(`${work}/old`, { recursive: true })
          yield* fs.writeFileString(`${work}/old/mine.txt`, "mine")
          yield* fs.writeFileString(`${work}/owner.json`, JSON.stringify({ host: "", pid: 1, uuid: "" }))
          const longAgo = new Date(2020, 0)
          for (const name of ["old/mine.txt", "owner.json", "old", ""])
            yield* fs.utimes(`${work}/${name}`, longAgo, longAgo)
          yield* Effect.flip(download(directory, { replace: true }))
          assert.strictEqual(yield* fs.readFileString(`${directory}/out/mine.txt`), "mine")
          assert.deepStrictEqual(yield* fs.readDirectory(directory), ["out"])
        })
      )
    })
  )
})
