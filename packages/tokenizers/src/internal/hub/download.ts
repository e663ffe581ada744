/** Downloads the files of a tokenizer into the cache, and checks their sizes and hashes. */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as blobs from "./blobs.ts"
import * as cache from "./cache.ts"
import { type Disk, exists, mapDiskError, temporaryName } from "./disk.ts"
import * as layout from "./layout.ts"
import { type HubError, makeError, type Remote, type Snapshot } from "./model.ts"
import { type FileInfo, fetchInfo } from "./repositoryInfo.ts"
import * as request from "./request.ts"
import type { RetryLimits } from "./retries.ts"

/** Access to the hub and to the disk. @internal */
export interface Context extends Disk {
  readonly http: HttpClient.HttpClient
}

/** How long to wait for metadata, and for files. @internal */
export interface Plan {
  readonly info: RetryLimits
  readonly files: RetryLimits
}

/** The largest file whose size the hub does not announce, in bytes. */
const largestUnannounced = 1024 ** 3

/** A file to download. */
interface Download {
  readonly name: string
  readonly info: FileInfo
  readonly limits: RetryLimits
}

const wrongSize = (target: Remote, name: string, size: number | undefined) =>
  makeError(
    target,
    "Corrupt",
    size === undefined
      ? `${name} is larger than ${largestUnannounced} bytes`
      : `${name} does not have the ${size} bytes that ${target.endpoint} announced`
  )

/** Writes a response to disk part by part, and flushes it. Succeeds with the number of bytes. */
const writeBody = (
  context: Context,
  target: Remote,
  { info, name, limits }: Download,
  response: HttpClientResponse.HttpClientResponse,
  temporary: string
): Effect.Effect<number, HubError> =>
  Effect.gen(function* () {
    const disk = mapDiskError(target)
    const handle = yield* disk(context.fs.open(temporary, { flag: "wx" }))
    const limit = info.size ?? largestUnannounced
    let length = 0
    yield* Stream.runForEach(request.bodyOf(target, response, name, limits), (bytes) => {
      length += bytes.length
      return length > limit ? wrongSize(target, name, info.size) : disk(handle.writeAll(bytes))
    })
    if (info.size !== undefined && length !== info.size) return yield* wrongSize(target, name, info.size)
    yield* disk(handle.sync)
    return length
  }).pipe(Effect.scoped)

/** Stores the body of a response as a blob, if it has the announced hash. Succeeds with the name of the blob. */
const storeBlob = (
  context: Context,
  target: Remote,
  download: Download,
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<string, HubError> =>
  Effect.gen(function* () {
    const disk = mapDiskError(target)
    const { hash, size } = download.info
    const directory = layout.blobDirectory(context, target)
    const temporary = yield* temporaryName(context, context.path.join(directory, hash ?? download.name))
    yield* disk(context.fs.makeDirectory(directory, { recursive: true }))
    return yield* Effect.gen(function* () {
      const length = yield* writeBody(context, target, download, response, temporary)
      const actual = yield* disk(blobs.hashFile(context, temporary, blobs.kindOf(hash) ?? "git", length))
      if (hash !== undefined && actual !== hash) {
        const detail = `${download.name} does not match the hash that ${target.endpoint} announced`
        return yield* makeError(target, "Corrupt", size === undefined ? detail : `${detail} (it has ${size} bytes)`)
      }
      yield* disk(context.fs.rename(temporary, context.path.join(directory, actual)))
      return actual
    }).pipe(Effect.onError(() => Effect.ignore(context.fs.remove(temporary, { force: true }))))
  })

const urlOf = ({ endpoint, kind, repo }: Remote, commit: string, name: string): string => {
  const path = name.split("/").map(encodeURIComponent).join("/")
  return `${endpoint}/${kind === "dataset" ? "datasets/" : ""}${repo}/resolve/${commit}/${path}`
}

/** Makes sure that the snapshot contains a file of the commit. @internal */
export const provideFile = (
  context: Context,
  target: Remote,
  commit: string,
  download: Download
): Effect.Effect<void, HubError> =>
  Effect.gen(function* () {
    const { info, name, limits } = download
    const file = context.path.join(layout.snapshotDirectory(context, target, commit), name)
    const isHeld =
      (yield* exists(context, file)) && (yield* Effect.orElseSucceed(blobs.isIntact(context, file, info), () => false))
    if (isHeld) return
    const url = urlOf(target, commit, name)
    const blob = (yield* blobs.holds(context, target, info))
      ? info.hash!
      : yield* request.get(context.http, target, url, limits, (response) =>
          storeBlob(context, target, download, response)
        )
    yield* mapDiskError(target)(blobs.link(context, target, blob, file))
  })

/** Resolves the revision and downloads what the cache does not contain yet. @internal */
export const downloadSnapshot = (context: Context, target: Remote, plan: Plan): Effect.Effect<Snapshot, HubError> =>
  Effect.gen(function* () {
    const { commit, files } = yield* fetchInfo(context.http, target, plan.info)
    yield* blobs.removeAbandoned(context, target)
    for (const name of cache.tokenizerFileNames) {
      const info = files.get(name)
      yield* info === undefined
        ? cache.markAbsent(context, target, commit, name)
        : provideFile(context, target, commit, { name, info, limits: plan.files })
    }
    yield* cache.writeRef(context, target, commit)
    return { commit, directory: layout.snapshotDirectory(context, target, commit) }
  })
