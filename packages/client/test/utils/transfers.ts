/** A download without a network and a disk: responses by a script, and a file in memory, on TestClock. */
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import type { FileVersion } from "../../src/internal/download/fileVersion.ts"
import { downloadTo } from "../../src/internal/download/transfer.ts"

/** One response. `end` says what follows the text of its body. */
export interface Step {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly text?: string
  readonly end?: "closed" | "cut" | "silent" | "unanswered"
  /** of the error of a body that is cut */
  readonly code?: string
}

export interface Options {
  /** what the file holds before */
  readonly content?: string
  readonly earlier?: FileVersion
  readonly maxSize?: number
  /** seconds after which each signed URL expires */
  readonly lifetime?: number
  readonly policy?: Partial<RetryPolicy.RetryPolicy>
}

const bodyOf = ({ code, end = "closed", text = "" }: Step) =>
  new ReadableStream<Uint8Array>({
    start: (controller) => {
      if (text !== "") controller.enqueue(new TextEncoder().encode(text))
      if (end === "closed") controller.close()
    },
    // the text is read before the failure
    pull: (controller) => {
      if (end === "cut") controller.error(Object.assign(new Error("cut"), { code }))
    }
  })

/** A file at any path. */
const makeFile = (initial: string | undefined) => {
  let content = initial === undefined ? undefined : Buffer.from(initial)
  let position = 0
  const calls: Array<string> = []
  const file = {
    truncate: (size: FileSystem.SizeInput = 0) =>
      Effect.sync(() => {
        calls.push(`truncate ${size}`)
        content = content!.subarray(0, Number(size))
      }),
    seek: (offset: FileSystem.SizeInput, from: FileSystem.SeekMode) =>
      Effect.sync(() => {
        position = Number(offset) + (from === "start" ? 0 : position)
      }),
    writeAll: (bytes: Uint8Array) =>
      Effect.sync(() => {
        const gap = Buffer.alloc(Math.max(0, position - content!.length))
        content = Buffer.concat([content!.subarray(0, position), gap, bytes])
        position += bytes.length
      }),
    sync: Effect.sync(() => void calls.push("sync"))
  } as unknown as FileSystem.File
  const layer = FileSystem.layerNoop({
    exists: () => Effect.sync(() => content !== undefined),
    stat: () => Effect.sync(() => ({ size: FileSystem.Size(content!.length) }) as FileSystem.File.Info),
    open: (_, options) =>
      Effect.sync(() => {
        calls.push(`open ${options?.flag}`)
        if (options?.flag === "w") content = Buffer.alloc(0)
        position = 0
        return file
      }),
    stream: () => Stream.suspend(() => Stream.make(new Uint8Array(content!)))
  })
  return { layer, calls, text: () => String(content) }
}

/** The requests that a download sends, when, and what it leaves; the last step answers all further requests. */
export const make = (steps: ReadonlyArray<Step>, options: Options = {}) => {
  const requests: Array<Record<string, string>> = []
  const times: Array<number> = []
  const progress: Array<readonly [number, number | undefined]> = []
  const versions: Array<FileVersion> = []
  let urls = 0
  const http = HttpClient.make((request) =>
    Effect.gen(function* () {
      times.push(yield* Clock.currentTimeMillis)
      requests.push({ url: request.url, ...request.headers })
      const step = steps[Math.min(requests.length, steps.length) - 1]!
      if (step.end === "unanswered") return yield* Effect.never
      const { headers = {}, status = 200 } = step
      return HttpClientResponse.fromWeb(request, new Response(bodyOf(step), { status, headers }))
    })
  )
  const file = makeFile(options.content)
  const program = downloadTo({
    method: "download",
    file: "/tmp/draft",
    shown: "model.tar",
    url: Effect.map(Clock.currentTimeMillis, (now) => ({
      url: `https://files/${++urls}?signature=secret`,
      expires: DateTime.unsafeMake(now + (options.lifetime ?? 3600) * 1000)
    })),
    maxSize: options.maxSize ?? 100,
    earlier: options.earlier,
    onVersion: (version) => Effect.sync(() => void versions.push(version)),
    onProgress: (received, total) => Effect.sync(() => void progress.push([received, total]))
  }).pipe(
    Effect.provide(Layer.merge(file.layer, Layer.succeed(HttpClient.HttpClient, http))),
    Effect.provideService(RetryPolicy.CurrentRetryPolicy, { ...RetryPolicy.standard, ...options.policy })
  )
  /** Runs it for ten minutes of the clock. */
  const run: Effect.Effect<number, TinkerError.TinkerError> = Effect.gen(function* () {
    const fiber = yield* Effect.fork(program)
    yield* TestClock.adjust("10 minutes")
    return yield* Fiber.join(fiber)
  })
  return { run, program, requests, times, progress, versions, file, urls: () => urls }
}
