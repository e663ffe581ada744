/** Downloads the files of a checkpoint into a directory. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as RestClient from "../../RestClient.ts"
import { checkContainers } from "./containers.ts"
import { fileError } from "./fileErrors.ts"
import type { Workplace } from "./intoDirectory.ts"
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
  readonly workplace: Workplace
  /** the directory that errors name */
  readonly shown: string
  readonly maxSize: number
  readonly onProgress: (progress: Progress) => Effect.Effect<void>
}

const archiveName = "archive of the checkpoint"

/** Downloads one file; `name` is that of a file of the checkpoint, and absent for an archive. */
const download = (
  { maxSize, method, onProgress, shown, workplace: { parts } }: Options,
  file: string,
  name: string | undefined,
  url: Effect.Effect<RestClient.SignedUrl, TinkerError.TinkerError>
) =>
  downloadTo({
    method,
    file,
    shown: name === undefined ? shown : `${shown}/${name}`,
    url,
    maxSize,
    earlier: parts.versionOf(name ?? archiveName),
    onVersion: (version) => parts.remember(name ?? archiveName, version),
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
    const { method, path, shown, workplace } = options
    const fs = yield* FileSystem.FileSystem
    const { dirname, join } = yield* Path.Path
    const rest = yield* RestClient.RestClient
    const known = yield* rest.getExternalWeightsUrls(path)
    let received = 0
    for (const name of Object.keys(known.urls).sort()) {
      const file = join(workplace.fresh, ...(yield* safeSegments(method, name)))
      yield* Effect.mapError(fs.makeDirectory(dirname(file), { recursive: true }), fileError(method, shown))
      received += yield* download(options, file, name, urlOfFile(options, rest, known, name))
    }
    return received
  })

const downloadArchive = (options: Options): Effect.Effect<number, TinkerError.TinkerError, Environment> =>
  Effect.gen(function* () {
    const { maxSize, method, path, shown, workplace } = options
    const { archive, fresh } = workplace
    const fs = yield* FileSystem.FileSystem
    const rest = yield* RestClient.RestClient
    const toFileError = fileError(method, shown)
    // a killed process may have unpacked a part of it
    yield* Effect.mapError(fs.remove(fresh, { recursive: true }), toFileError)
    yield* Effect.mapError(fs.makeDirectory(fresh), toFileError)
    const received = yield* download(options, archive, undefined, rest.getCheckpointArchiveUrl(path))
    yield* unpack({ method, archive, shown, target: fresh, maxSize })
    yield* Effect.mapError(fs.remove(archive), toFileError)
    return received
  })

/** Downloads and verifies the files, and returns the number of bytes received. @internal */
export const downloadCheckpoint = (options: Options): Effect.Effect<number, TinkerError.TinkerError, Environment> =>
  Effect.gen(function* () {
    const { method, path, shown, workplace } = options
    const received = yield* path.kind === "external_weights" ? downloadFiles(options) : downloadArchive(options)
    yield* checkContainers(method, workplace.fresh, shown)
    // later changes to the files cannot be resumed
    yield* workplace.parts.forget
    return received
  })
