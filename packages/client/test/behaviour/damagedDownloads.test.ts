import * as CheckpointDownload from "@effect-tinker/client/CheckpointDownload"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import type * as Http from "node:http"
import { archive, content, cut, download, inDirectory, listener, range, whole, withFiles } from "../utils/downloads.ts"
import { tar } from "../utils/tar.ts"

type Serve = (request: Http.IncomingMessage, response: Http.ServerResponse, count: number) => void

const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("base64")

/** A safetensors file with one tensor of eight bytes, of which the last ones may be missing. */
const safeTensors = (missing = 0) => {
  const header = Buffer.from(JSON.stringify({ w: { dtype: "F32", shape: [2], data_offsets: [0, 8] } }))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return new Uint8Array(Buffer.concat([length, header, Buffer.alloc(8 - missing)]))
}

/** Sends bytes without saying how many, so that a cut cannot be seen. */
const unannounced = (response: Http.ServerResponse, bytes: Uint8Array) => {
  response.writeHead(200)
  response.write(bytes)
  response.end()
}

/** Breaks a connection once some of its bytes have arrived. */
const breaker = () => {
  let open: Http.ServerResponse | undefined
  return {
    send: (response: Http.ServerResponse, headers: Http.OutgoingHttpHeaders, bytes: Uint8Array) => {
      open = response
      response.writeHead(200, headers).write(bytes)
    },
    options: {
      onProgress: ({ received }: CheckpointDownload.Progress) =>
        Effect.sync(() => {
          if (received > 0) open?.destroy()
        })
    }
  }
}

/** The error of a download of an archive, which must leave nothing behind. */
const errorOf = (serve: Serve) =>
  Effect.gen(function* () {
    const { files, service } = yield* withFiles(serve)
    return yield* inDirectory(service.url, (directory, fs) =>
      Effect.gen(function* () {
        const error: TinkerError.TinkerError = yield* Effect.flip(download(directory))
        assert.deepStrictEqual(yield* fs.readDirectory(directory), [])
        return { directory, error, requests: files.requests.length }
      })
    )
  })

const expectFileError = (
  { directory, error }: { directory: string; error: TinkerError.TinkerError },
  reason: RegExp
) => {
  assert.strictEqual(error._tag, "FileError")
  if (error._tag !== "FileError") return
  assert.isTrue(error.path.startsWith(`${directory}/out`), error.path)
  assert.match(error.reason, reason)
  assert.match(error.reason, /ownload it again/)
}

describe("a download of an archive", () => {
  it.scopedLive("fails where the archive ends between two files, although no size was announced", () =>
    Effect.gen(function* () {
      const entries = tar({ name: "a", content: "1" }).slice(0, -1024)
      expectFileError(yield* errorOf((_, response) => unannounced(response, entries)), /its end is missing/)
      expectFileError(yield* errorOf((_, response) => unannounced(response, archive.slice(0, 9000))), /cut off/)
    })
  )

  it.scopedLive("fails where a file in it is shorter than its header says", () =>
    Effect.gen(function* () {
      const damaged = tar({ name: "adapter_model.safetensors", content: safeTensors(3) })
      const result = yield* errorOf((_, response) => whole(response, damaged))
      expectFileError(result, /cut off or damaged: it has \d+ bytes, and its header says/)
      assert.include(result.error.message, "/out/adapter_model.safetensors")
    })
  )

  it.scopedLive("repeats it once where its checksum is wrong, and fails if it still is", () =>
    Effect.gen(function* () {
      const damaged = archive.map((byte, i) => (i === 5000 ? byte ^ 1 : byte))
      const headers = { "x-goog-hash": `md5=${md5(archive)}`, "content-length": archive.length }
      const always = yield* errorOf((_, response) => response.writeHead(200, headers).end(damaged))
      expectFileError(always, /its md5 is \S+, and the server announces/)
      assert.strictEqual(always.requests, 2)
      const { files, service } = yield* withFiles((_, response, count) =>
        response.writeHead(200, headers).end(count === 1 ? damaged : archive)
      )
      yield* inDirectory(service.url, (directory, fs) =>
        Effect.gen(function* () {
          yield* download(directory)
          assert.deepStrictEqual(new Uint8Array(yield* fs.readFile(`${directory}/out/big.bin`)), content)
        })
      )
      assert.strictEqual(files.requests.length, 2)
    })
  )

  it.scopedLive("starts over where the file changes in between, even if the server sends the range", () =>
    Effect.gen(function* () {
      const other = archive.map((byte, i) => (i > 2000 && i < 40_000 ? byte ^ 1 : byte))
      const first = breaker()
      const { files, service } = yield* withFiles((request, response, count) => {
        const from = range(request)
        const headers = {
          etag: count === 1 ? '"1"' : '"2"',
          "content-length": archive.length - from,
          ...(from > 0 ? { "content-range": `bytes ${from}-${archive.length - 1}/${archive.length}` } : {})
        }
        if (count === 1) {
          first.send(response, headers, other.subarray(0, 50_000))
        } else response.writeHead(from > 0 ? 206 : 200, headers).end(archive.subarray(from))
      })
      yield* inDirectory(service.url, (directory, fs) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* download(directory, first.options)).received, archive.length)
          assert.deepStrictEqual(new Uint8Array(yield* fs.readFile(`${directory}/out/big.bin`)), content)
        })
      )
      assert.strictEqual(files.requests.length, 3)
    })
  )

  it.scopedLive("starts over where only the size of the file tells that it has changed", () =>
    Effect.gen(function* () {
      const other = Buffer.concat([archive.map((byte, i) => (i > 2000 ? byte ^ 1 : byte)), Buffer.alloc(512)])
      const first = breaker()
      const { files, service } = yield* withFiles((request, response, count) => {
        const from = range(request)
        if (count === 1) {
          return first.send(response, { "content-length": other.length }, other.subarray(0, 50_000))
        }
        const part = { "content-range": `bytes ${from}-${archive.length - 1}/${archive.length}` }
        response
          .writeHead(from > 0 ? 206 : 200, { "content-length": archive.length - from, ...(from > 0 ? part : {}) })
          .end(archive.subarray(from))
      })
      yield* inDirectory(service.url, (directory, fs) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* download(directory, first.options)).received, archive.length)
          assert.deepStrictEqual(new Uint8Array(yield* fs.readFile(`${directory}/out/big.bin`)), content)
        })
      )
      assert.strictEqual(files.requests.length, 3)
    })
  )

  it.scopedLive("never takes a range that was not requested for the file", () =>
    Effect.gen(function* () {
      const first = breaker()
      const { files, service } = yield* withFiles((request, response, count) => {
        const from = range(request)
        const headers = { etag: '"1"', "content-length": archive.length }
        if (count === 1) return first.send(response, headers, archive.subarray(0, 50_000))
        if (from > 0) {
          // the rest of it, from another place than was requested
          const rest = archive.subarray(from + 7)
          const named = `bytes ${from + 7}-${archive.length - 1}/${archive.length}`
          return response
            .writeHead(206, { etag: '"1"', "content-range": named, "content-length": rest.length })
            .end(rest)
        }
        return whole(response)
      })
      yield* inDirectory(service.url, (directory, fs) =>
        Effect.gen(function* () {
          yield* download(directory, first.options)
          assert.deepStrictEqual(new Uint8Array(yield* fs.readFile(`${directory}/out/big.bin`)), content)
        })
      )
      assert.strictEqual(files.requests.length, 3)
      const part = yield* errorOf((_, response) =>
        response.writeHead(206, { "content-range": "bytes 512-1023/1024", "content-length": 512 }).end("x".repeat(512))
      )
      assert.strictEqual(part.error._tag, "FileError")
    })
  )

  it.scopedLive("fails where more bytes arrive than the file has", () =>
    Effect.gen(function* () {
      const result = yield* errorOf((request, response, count) => {
        const from = range(request)
        if (count === 1) return cut(response, 0, 50_000, { "content-length": archive.length })
        const rest = archive.subarray(from)
        response
          .writeHead(206, { "content-range": `bytes ${from}-${archive.length - 1}/${archive.length}` })
          .end(Buffer.concat([rest, Buffer.alloc(7)]))
      })
      expectFileError(result, /bytes arrived where \d+ were announced/)
    })
  )
})

describe("a download of external weights", () => {
  it.scopedLive("fails where a file is shorter than its header says or has another checksum", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [Uint8Array, Record<string, string>, RegExp]> = [
        [safeTensors(3), {}, /header says/],
        [safeTensors().slice(0, 20), {}, /its header does not fit/],
        [new Uint8Array(0), {}, /no safetensors file/],
        [safeTensors(), { "content-md5": md5(content) }, /its md5 is/]
      ]
      for (const [bytes, headers, reason] of cases) {
        const files = yield* listener((_, response) => {
          response.writeHead(200, headers)
          response.write(bytes)
          response.end()
        })
        const service = yield* listener((_, response) => {
          const body = JSON.stringify({
            urls: { "sub/a.safetensors": `${files.url}/a` },
            expires: "2099-01-01T00:00:00Z"
          })
          response.writeHead(200, { "content-type": "application/json", "content-length": body.length }).end(body)
        })
        yield* inDirectory(service.url, (directory, fs) =>
          Effect.gen(function* () {
            const error = yield* Effect.flip(
              CheckpointDownload.download("tinker://run/external_weights/e", { directory: `${directory}/out` })
            )
            expectFileError({ directory, error }, reason)
            assert.include(error.message, "/out/sub/a.safetensors")
            assert.deepStrictEqual(yield* fs.readDirectory(directory), [])
          })
        )
      }
    })
  )
})
