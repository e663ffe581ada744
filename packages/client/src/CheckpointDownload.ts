/**
 * Checkpoints as directories on disk: fetched, checked and unpacked, or made into a directory that PEFT opens.
 *
 * ```ts
 * yield* CheckpointDownload.download("tinker://<run>/sampler_weights/final", {
 *   directory: "final",
 *   onProgress: ({ received, total }) => Effect.log(`${received} of ${total ?? "?"} bytes`)
 * })
 * ```
 *
 * A transfer that breaks goes on where it was, and asks for a new URL when the old one has expired. The directory appears
 * in one step, when all of it is there; nothing is left of a download that fails or is interrupted. Signed URLs are
 * fetched without the key.
 *
 * @since 0.1.0
 */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as peft from "./internal/download/peft.ts"
import * as transfers from "./internal/download/transfers.ts"
import * as unpacking from "./internal/download/unpacking.ts"
import * as RestClient from "./RestClient.ts"

/**
 * How far a download is. For external checkpoints the files come one by one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  /** the file under way; `undefined` for an archive */
  readonly file: string | undefined
  readonly received: number
  /** in bytes; unknown where the server does not say */
  readonly total: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** what the checkpoint becomes; its parent is made when it is not there */
  readonly directory: string
  /** takes the place of what is at `directory`; otherwise that is a `FileError`, and nothing is fetched */
  readonly replace?: boolean | undefined
  /** bytes of all files; 64 GiB */
  readonly maxSize?: number | undefined
  /** called after each piece that arrives */
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void>) | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Downloaded {
  readonly tinker_path: string
  readonly directory: string
  /** names below the directory, with their sizes in bytes, in the order of their names */
  readonly files: ReadonlyArray<{ readonly name: string; readonly size: number }>
  /** bytes that were fetched: the archive's, or the files' */
  readonly received: number
}

type Needs = RestClient.RestClient | HttpClient.HttpClient | FileSystem.FileSystem | Path.Path

const parse = (method: string, target: RestClient.Target) =>
  Option.match(TinkerPath.parse(typeof target === "string" ? target : TinkerPath.format(target)), {
    onNone: () =>
      Effect.fail(
        new TinkerError.InvalidInput({
          method,
          path: "target",
          reason: `is ${JSON.stringify(target)}: give "tinker://<training run>/<kind>/<name>"`
        })
      ),
    onSome: Effect.succeed
  })

/** Fetches and unpacks beside the target, lets `finish` work on it there, and moves it to its place. */
const into = (
  method: string,
  target: RestClient.Target,
  { directory, maxSize = 64 * 2 ** 30, onProgress = () => Effect.void, replace = false }: Options,
  finish: (place: string, path: TinkerPath.TinkerPath) => Effect.Effect<void, TinkerError.TinkerError, Needs>
): Effect.Effect<Downloaded, TinkerError.TinkerError, Needs> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { basename, dirname, join, resolve } = yield* Path.Path
    const rest = yield* RestClient.RestClient
    const path = yield* parse(method, target)
    const place = resolve(directory)
    const parent = dirname(place)
    const failed = transfers.fileError(method, place)

    const check = Effect.mapError(fs.exists(place), failed).pipe(
      Effect.filterOrFail(
        (exists) => replace || !exists,
        () =>
          new TinkerError.FileError({
            method,
            path: place,
            reason: "exists already: choose another directory, or have it replaced"
          })
      )
    )
    yield* check
    yield* Effect.mapError(fs.makeDirectory(parent, { recursive: true }), failed)
    const work = yield* Effect.mapError(
      fs.makeTempDirectoryScoped({ directory: parent, prefix: `.${basename(place)}.part-` }),
      failed
    )
    const fresh = join(work, "new")
    yield* Effect.mapError(fs.makeDirectory(fresh), failed)

    const fetchTo = (
      file: string,
      name: string | undefined,
      url: Effect.Effect<RestClient.SignedUrl, TinkerError.TinkerError>
    ) =>
      transfers.toFile({
        method,
        file,
        url,
        maxSize,
        onProgress: (received, total) => onProgress({ file: name, received, total })
      })

    let received = 0
    if (path.kind === "external_weights") {
      const first = yield* rest.getExternalWeightsUrls(path)
      for (const name of Object.keys(first.urls).sort()) {
        const parts = yield* unpacking.parts(method, name)
        const file = join(fresh, ...parts)
        yield* Effect.mapError(fs.makeDirectory(dirname(file), { recursive: true }), failed)
        // all URLs were asked for at once; those that expire are asked for again
        let asked = Effect.succeed(first) as ReturnType<typeof rest.getExternalWeightsUrls>
        const url = Effect.suspend(() => {
          const urls = asked
          asked = rest.getExternalWeightsUrls(path)
          return Effect.flatMap(urls, ({ expires, urls }) =>
            urls[name] === undefined
              ? new TinkerError.DecodeError({ method, reason: `there is no URL of ${name} any more` })
              : Effect.succeed({ url: urls[name], expires })
          )
        })
        received += yield* fetchTo(file, name, url)
      }
    } else {
      const archive = join(work, "archive")
      received = yield* fetchTo(archive, undefined, rest.getCheckpointArchiveUrl(path))
      yield* unpacking.unpack({ method, archive, target: fresh, maxSize })
      yield* Effect.mapError(fs.remove(archive), failed)
    }
    yield* finish(fresh, path)
    const files = yield* Effect.mapError(unpacking.list(fresh), failed)

    yield* check
    const old = join(work, "old")
    yield* Effect.uninterruptible(
      Effect.gen(function* () {
        const replaced = yield* fs.exists(place)
        if (replaced) yield* fs.rename(place, old)
        yield* fs
          .rename(fresh, place)
          .pipe(Effect.tapError(() => (replaced ? Effect.ignore(fs.rename(old, place)) : Effect.void)))
      })
    ).pipe(Effect.mapError(failed))
    return { tinker_path: TinkerPath.format(path), directory: place, files, received }
  }).pipe(Effect.scoped, Effect.withSpan(`CheckpointDownload.${method}`))

/**
 * A checkpoint's files, as the service keeps them.
 *
 * Fails with `FileError` when the directory exists, cannot be written, or the archive is not safe to unpack: when it
 * holds links, names that lead out of it, or more than `maxSize`.
 *
 * @since 0.1.0
 * @category downloads
 */
export const download = (
  target: RestClient.Target,
  options: Options
): Effect.Effect<Downloaded, TinkerError.TinkerError, Needs> => into("download", target, options, () => Effect.void)

/**
 * A directory that PEFT opens: `adapter_config.json`, which names the base model, and `adapter_model.safetensors`.
 *
 * Fails with `FileError` when the checkpoint holds no such adapter.
 *
 * @since 0.1.0
 * @category downloads
 */
export const exportPeft = (
  target: RestClient.Target,
  options: Options
): Effect.Effect<Downloaded, TinkerError.TinkerError, Needs> => {
  const method = "exportPeft"
  return into(method, target, options, (place, path) =>
    peft.finish({
      method,
      place,
      baseModel: Effect.flatMap(RestClient.RestClient, (rest) =>
        Effect.map(rest.getWeightsInfo(path), ({ base_model }) => base_model)
      )
    })
  )
}
