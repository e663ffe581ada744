/** Reads and writes `checkpoint.json`: the metadata of a stored checkpoint, and the checksums of its files. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as directories from "./directories.ts"
import * as layout from "./layout.ts"
import * as model from "./model.ts"
import { optionalKey } from "../effect/optionalKey.ts"

const Checksums = Schema.Record({
  key: Schema.String,
  value: Schema.Struct({
    size_bytes: Schema.Int,
    /** hexadecimal */
    sha256: Schema.String
  })
})

/** Size and SHA-256 of each file, by its name. @internal */
export type Checksums = typeof Checksums.Type

const StoredInfo = Schema.Struct({
  ...model.Info.fields,
  files: optionalKey(Checksums)
})

/** @internal */
export const decode = Schema.decodeUnknown(Schema.parseJson(StoredInfo))

const encodeJson = Schema.encodeSync(Schema.parseJson(StoredInfo, { space: 2 }))

/** @internal */
export const encode = (info: model.Info, checksums: Checksums | undefined): Uint8Array =>
  new TextEncoder().encode(encodeJson({ ...info, ...(checksums === undefined ? {} : { files: checksums }) }))

/** A checkpoint on the disk. @internal */
export interface Stored {
  readonly directory: string
  readonly info: model.Info
  readonly checksums: Checksums | undefined
}

/** The directory of a checkpoint; `undefined` if its path is not valid. @internal */
export const directoryOf = (root: directories.Root, path: TinkerPath.TinkerPath): string | undefined => {
  const segments = layout.segmentsOf(path)
  return segments === undefined ? undefined : root.join(root.directory, ...segments)
}

/** Turns a failure of the file system, or of decoding, into an error of the store. @internal */
export const toStoreError = (path: TinkerPath.TinkerPath) => (cause: { readonly message: string }) =>
  new model.CheckpointStoreError({ path: TinkerPath.format(path), reason: cause.message, cause })

/** Reads a checkpoint's metadata, whether or not it has expired; `undefined` if there is no checkpoint. @internal */
export const read = Effect.fnUntraced(function* (
  root: directories.Root,
  path: TinkerPath.TinkerPath
): Effect.fn.Return<Stored | undefined, model.CheckpointStoreError> {
  const directory = directoryOf(root, path)
  if (directory === undefined) return undefined
  const file = root.join(directory, layout.infoFile)
  const text = yield* root.fs.exists(file).pipe(
    Effect.flatMap((exists) => (exists ? root.fs.readFileString(file) : Effect.succeed(undefined))),
    Effect.mapError(toStoreError(path))
  )
  if (text === undefined) return undefined
  const { files: checksums, ...info } = yield* Effect.mapError(decode(text), toStoreError(path))
  return { directory, info, checksums }
})

const kinds: ReadonlyArray<TinkerPath.Kind> = ["weights", "sampler_weights", "external_weights"]

/** The paths of all directories that may hold a checkpoint. @internal */
export const paths = Effect.fnUntraced(function* (root: directories.Root) {
  const found: Array<TinkerPath.TinkerPath> = []
  for (const run of yield* directories.entries(root, root.directory)) {
    const training_run_id = layout.runOfDirectory(run)
    if (training_run_id === undefined || !(yield* isDirectory(root, run))) continue
    for (const kind of kinds) {
      const names = yield* directories.entries(root, root.join(root.directory, run, kind))
      for (const name of names) found.push({ training_run_id, kind, name })
    }
  }
  return found
})

const isDirectory = ({ directory, fs, join }: directories.Root, name: string) =>
  Effect.map(fs.stat(join(directory, name)), ({ type }) => type === "Directory")
