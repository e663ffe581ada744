/**
 * Downloads checkpoints into directories: as the service stores them, or as PEFT opens them.
 *
 * ```ts
 * yield* CheckpointDownload.download("tinker://<run>/sampler_weights/final", {
 *   directory: "final",
 *   onProgress: ({ received, total }) => Effect.log(`${received} of ${total ?? "?"} bytes`)
 * })
 * ```
 *
 * A transfer that loses its connection resumes where it was, with a new signed URL if the old one has expired. If the
 * process is killed, the next download of the same checkpoint into the same directory resumes it if the server still
 * has the same file, and otherwise removes its remains. A download that fails or is interrupted leaves nothing behind.
 *
 * The directory appears in one step once it is complete and verified: by size, by the checksum that the server announces
 * (`x-goog-hash`, `Repr-Digest`, `Content-MD5` and the like), and by what the files contain: the end of an archive, and the
 * header of a safetensors file. Signed URLs are requested without the API key.
 *
 * @since 0.1.0
 */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as files from "./internal/download/checkpointFiles.ts"
import { fileError } from "./internal/download/fileErrors.ts"
import { buildDirectory } from "./internal/download/intoDirectory.ts"
import { toPeftDirectory } from "./internal/download/peft.ts"
import { listFiles } from "./internal/download/unpack.ts"
import { parseTarget } from "./internal/rest/inputs.ts"
import * as RestClient from "./RestClient.ts"

export type { Progress } from "./internal/download/checkpointFiles.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** the directory to create; missing parents are created as well */
  readonly directory: string
  /** replaces what is at `directory`; otherwise that fails with `FileError` before anything is downloaded */
  readonly replace?: boolean | undefined
  /** size limit of all files together, in bytes; 64 GiB by default */
  readonly maxSize?: number | undefined
  /** runs after each chunk of bytes that arrives */
  readonly onProgress?: ((progress: files.Progress) => Effect.Effect<void>) | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Downloaded {
  readonly tinker_path: string
  readonly directory: string
  /** all files below the directory in the order of their names, with their sizes in bytes */
  readonly files: ReadonlyArray<{ readonly name: string; readonly size: number }>
  /** bytes downloaded, also by a killed process before: those of the archive, or of the files */
  readonly received: number
}

const maxSizeByDefault = 64 * 2 ** 30

/** Downloads the files, applies `convert` to them, and puts them in place. */
const downloadInto = (
  method: string,
  target: RestClient.Target,
  options: Options,
  convert: (
    directory: string,
    path: TinkerPath.TinkerPath
  ) => Effect.Effect<void, TinkerError.TinkerError, files.Environment>
): Effect.Effect<Downloaded, TinkerError.TinkerError, files.Environment> =>
  Effect.gen(function* () {
    const { resolve } = yield* Path.Path
    const path = yield* parseTarget(method, target, "target")
    const { maxSize = maxSizeByDefault, onProgress = () => Effect.void, replace = false } = options
    const directory = resolve(options.directory)
    const source = TinkerPath.format(path)
    return yield* buildDirectory({ method, directory, replace, source }, (workplace) =>
      Effect.gen(function* () {
        const received = yield* files.downloadCheckpoint({
          method,
          path,
          workplace,
          shown: directory,
          maxSize,
          onProgress
        })
        yield* convert(workplace.fresh, path)
        const listed = yield* Effect.mapError(listFiles(workplace.fresh), fileError(method, directory))
        return { tinker_path: source, directory, files: listed, received }
      })
    )
  }).pipe(Effect.scoped, Effect.withSpan(`CheckpointDownload.${method}`))

/**
 * Downloads the files of a checkpoint as the service stores them.
 *
 * Fails with `FileError` if the directory exists or cannot be written, if the files are damaged or cut off, or if the
 * archive is not safe to unpack: if it contains links, names that lead out of the directory, or more than `maxSize` bytes.
 *
 * @since 0.1.0
 * @category downloads
 */
export const download = (
  target: RestClient.Target,
  options: Options
): Effect.Effect<Downloaded, TinkerError.TinkerError, files.Environment> =>
  downloadInto("download", target, options, () => Effect.void)

/**
 * Downloads an adapter as a directory that PEFT opens: `adapter_config.json`, which names the base model, and
 * `adapter_model.safetensors`.
 *
 * Fails with `FileError` if the checkpoint contains no LoRA adapter.
 *
 * @since 0.1.0
 * @category downloads
 */
export const exportPeft = (
  target: RestClient.Target,
  options: Options
): Effect.Effect<Downloaded, TinkerError.TinkerError, files.Environment> =>
  downloadInto("exportPeft", target, options, (directory, path) =>
    toPeftDirectory(
      directory,
      Effect.flatMap(RestClient.RestClient, (rest) =>
        Effect.map(rest.getWeightsInfo(path), ({ base_model }) => base_model)
      )
    )
  )
