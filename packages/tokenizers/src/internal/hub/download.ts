/** Downloads the files of a tokenizer into the cache, and checks their sizes and hashes. */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
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

/** How often progress is told: at each tenth of a file. */
const tells = 10

/** Tells how much of a file has arrived, at each tenth of it, to the log at info level. */
const makeProgress = (repo: string, name: string, size: number, start: number) => {
  let told = Math.floor((tells * start) / size)
  return (length: number): Effect.Effect<void> => {
    const reached = Math.floor((tells * length) / size)
    if (reached <= told || reached === tells) return Effect.void
    told = reached
    return Effect.logInfo(`${repo}: ${reached * (100 / tells)} % of ${name} (${(size / 1e6).toFixed(1)} MB)`)
  }
}

/** Writes a response to disk part by part, from a place in the file on, and flushes it. Succeeds with the size of the file. */
const writeBody = (
  context: Context,
  target: Remote,
  { info, name, limits }: Download,
  response: HttpClientResponse.HttpClientResponse,
  temporary: string,
  start: number
): Effect.Effect<number, HubError> =>
  Effect.gen(function* () {
    const disk = mapDiskError(target)
    const handle = yield* disk(context.fs.open(temporary, { flag: start > 0 ? "a" : "w" }))
    const limit = info.size ?? largestUnannounced
    const tell = blobs.isResumable(info) ? makeProgress(target.repo, name, info.size, start) : () => Effect.void
    let length = start
    yield* Stream.runForEach(request.bodyOf(target, response, name, limits), (bytes) => {
      length += bytes.length
      return length > limit
        ? wrongSize(target, name, info.size)
        : Effect.andThen(disk(handle.writeAll(bytes)), tell(length))
    })
    if (info.size !== undefined && length !== info.size) return yield* wrongSize(target, name, info.size)
    yield* disk(handle.sync)
    return length
  }).pipe(Effect.scoped)

/** Stores a temporary file as a blob, if it has the announced hash. Succeeds with the name of the blob. */
const storeFile = (context: Context, target: Remote, { info, name }: Download, temporary: string, length: number) =>
  Effect.gen(function* () {
    const disk = mapDiskError(target)
    const { hash, size } = info
    const actual = yield* disk(blobs.hashFile(context, temporary, blobs.kindOf(hash) ?? "git", length))
    if (hash !== undefined && actual !== hash) {
      const detail = `${name} does not match the hash that ${target.endpoint} announced`
      return yield* makeError(target, "Corrupt", size === undefined ? detail : `${detail} (it has ${size} bytes)`)
    }
    yield* disk(context.fs.rename(temporary, context.path.join(layout.blobDirectory(context, target), actual)))
    return actual
  })

/** A cut connection leaves a part that is right; what has the wrong content or size is of no use. */
const isUseless = (isResumable: boolean, cause: Cause.Cause<HubError>): boolean => {
  const failure = Cause.failureOption(cause)
  return !isResumable || (Option.isSome(failure) && failure.value.reason !== "Unreachable")
}

/** Downloads a file to a blob. Succeeds with the name of the blob. */
const fetchBlob = (
  context: Context,
  target: Remote,
  download: Download,
  url: string
): Effect.Effect<string, HubError> =>
  Effect.gen(function* () {
    const { info, limits, name } = download
    const directory = layout.blobDirectory(context, target)
    yield* mapDiskError(target)(context.fs.makeDirectory(directory, { recursive: true }))
    const known = blobs.isResumable(info) ? info : undefined
    const temporary =
      known === undefined
        ? yield* temporaryName(context, context.path.join(directory, info.hash ?? name))
        : yield* blobs.claim(context, directory, known)
    const have = known === undefined ? Effect.succeed(0) : blobs.arrived(context, temporary, known)
    const read = (response: HttpClientResponse.HttpClientResponse) =>
      Effect.gen(function* () {
        const start = request.startOf(response, yield* have)
        if (start === undefined) return yield* wrongSize(target, name, info.size)
        const length = yield* writeBody(context, target, download, response, temporary, start)
        return yield* storeFile(context, target, download, temporary, length)
      }).pipe(
        Effect.onError((cause) =>
          isUseless(known !== undefined, cause)
            ? Effect.ignore(context.fs.remove(temporary, { force: true }))
            : Effect.void
        )
      )
    const wanted = Effect.map(have, (bytes) => (bytes === 0 ? undefined : ([bytes, known!.size - 1] as const)))
    return yield* request.get(context.http, target, url, limits, read, wanted)
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
    const { info, name } = download
    const file = context.path.join(layout.snapshotDirectory(context, target, commit), name)
    const isHeld =
      (yield* exists(context, file)) && (yield* Effect.orElseSucceed(blobs.isIntact(context, file, info), () => false))
    if (isHeld) return
    const url = urlOf(target, commit, name)
    const blob = (yield* blobs.holds(context, target, info))
      ? info.hash!
      : yield* fetchBlob(context, target, download, url)
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
