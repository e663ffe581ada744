/** Downloads the files of a checkpoint into a directory. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as RestClient from "../../RestClient.ts"
import { fileError } from "./fileErrors.ts"
import { downloadTo } from "./transfer.ts"
import { safeSegments, unpack } from "./unpack.ts"

/**
 * The progress of a download. The files of an external checkpoint are downloaded one after the other.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  /** the current file; `undefined` for an archive */
  readonly file: string | undefined
  /** bytes received so far */
  readonly received: number
  /** size in bytes; `undefined` where the server does not report it */
  readonly total: number | undefined
}

/** @internal */
export type Environment = RestClient.RestClient | HttpClient.HttpClient | FileSystem.FileSystem | Path.Path

/** @internal */
export interface Options {
  readonly method: string
  readonly path: TinkerPath.TinkerPath
  /** an empty directory for the files */
  readonly directory: string
  /** where an archive is stored until it is unpacked */
  readonly archive: string
  readonly maxSize: number
  readonly onProgress: (progress: Progress) => Effect.Effect<void>
}

const download = (
  { maxSize, method, onProgress }: Options,
  file: string,
  name: string | undefined,
  url: Effect.Effect<RestClient.SignedUrl, TinkerError.TinkerError>
) =>
  downloadTo({
    method,
    file,
    url,
    maxSize,
    onProgress: (received, total) => onProgress({ file: name, received, total })
  })

/** Requests the URL of one file. The first time, it is among the URLs that were returned before. */
const urlOfFile = (
  { method, path }: Options,
  rest: RestClient.Service,
  known: Effect.Effect.Success<ReturnType<RestClient.Service["getExternalWeightsUrls"]>>,
  name: string
): Effect.Effect<RestClient.SignedUrl, TinkerError.TinkerError> => {
  let next = Effect.succeed(known) as ReturnType<RestClient.Service["getExternalWeightsUrls"]>
  return Effect.suspend(() => {
    const current = next
    next = rest.getExternalWeightsUrls(path)
    return Effect.flatMap(current, ({ expires, urls }) =>
      urls[name] === undefined
        ? new TinkerError.DecodeError({ method, reason: `the service no longer has a URL of ${name}` })
        : Effect.succeed({ url: urls[name], expires })
    )
  })
}

const downloadFiles = (options: Options): Effect.Effect<number, TinkerError.TinkerError, Environment> =>
  Effect.gen(function* () {
    const { directory, method, path } = options
    const fs = yield* FileSystem.FileSystem
    const { dirname, join } = yield* Path.Path
    const rest = yield* RestClient.RestClient
    const known = yield* rest.getExternalWeightsUrls(path)
    let received = 0
    for (const name of Object.keys(known.urls).sort()) {
      const file = join(directory, ...(yield* safeSegments(method, name)))
      yield* Effect.mapError(fs.makeDirectory(dirname(file), { recursive: true }), fileError(method, directory))
      received += yield* download(options, file, name, urlOfFile(options, rest, known, name))
    }
    return received
  })

const downloadArchive = (options: Options): Effect.Effect<number, TinkerError.TinkerError, Environment> =>
  Effect.gen(function* () {
    const { archive, directory, maxSize, method, path } = options
    const fs = yield* FileSystem.FileSystem
    const rest = yield* RestClient.RestClient
    const received = yield* download(options, archive, undefined, rest.getCheckpointArchiveUrl(path))
    yield* unpack({ method, archive, target: directory, maxSize })
    yield* Effect.mapError(fs.remove(archive), fileError(method, directory))
    return received
  })

/** Downloads the files, and returns the number of bytes received. @internal */
export const downloadCheckpoint = (options: Options): Effect.Effect<number, TinkerError.TinkerError, Environment> =>
  options.path.kind === "external_weights" ? downloadFiles(options) : downloadArchive(options)
