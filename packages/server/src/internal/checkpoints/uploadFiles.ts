/** Keeps the files of adapters that are being uploaded, until they are imported: in memory or in a directory. */
import * as Effect from "effect/Effect"
import * as directories from "./directories.ts"
import * as layout from "./layout.ts"
import * as model from "./model.ts"

/** The files of uploads, by the id of the upload and the name of the file. */
export interface UploadFiles {
  /** Stores a file, or replaces it. In a directory it survives a power failure. */
  readonly write: (upload: string, file: string, content: Uint8Array) => Effect.Effect<void, model.CheckpointStoreError>
  /** `undefined` if there is none */
  readonly read: (upload: string, file: string) => Effect.Effect<Uint8Array | undefined, model.CheckpointStoreError>
  /** Removes all files of an upload. */
  readonly remove: (upload: string) => Effect.Effect<void, model.CheckpointStoreError>
}

/** @internal */
export const makeMemory = (): UploadFiles => {
  const files = new Map<string, Map<string, Uint8Array>>()
  return {
    write: (upload, file, content) =>
      Effect.sync(() => {
        files.set(upload, new Map(files.get(upload)).set(file, content))
      }),
    read: (upload, file) => Effect.sync(() => files.get(upload)?.get(file)),
    remove: (upload) => Effect.sync(() => void files.delete(upload))
  }
}

const toStoreError = (upload: string) => (cause: { readonly message: string }) =>
  new model.CheckpointStoreError({ path: `upload ${upload}`, reason: cause.message, cause })

/** The directory that holds the files of all uploads. @internal */
export const directoryOf = ({ directory, join }: directories.Root): string => join(directory, layout.uploadsDirectory)

const write = Effect.fnUntraced(function* (root: directories.Root, upload: string, file: string, content: Uint8Array) {
  const directory = root.join(directoryOf(root), upload)
  yield* directories.makeDirectory(root, directory)
  const temporary = root.join(yield* directories.temporaryDirectory(root), file)
  yield* directories.writeFile(root, temporary, content)
  yield* Effect.uninterruptible(root.fs.rename(temporary, root.join(directory, file)))
  yield* directories.syncDirectory(root, directory)
}, Effect.scoped)

/** @internal */
export const makeInDirectory = (root: directories.Root): UploadFiles => {
  const { fs, join } = root
  const pathOf = (upload: string, file: string) => join(directoryOf(root), upload, file)
  return {
    write: (upload, file, content) => Effect.mapError(write(root, upload, file, content), toStoreError(upload)),
    read: (upload, file) =>
      fs.exists(pathOf(upload, file)).pipe(
        Effect.flatMap((exists) => (exists ? fs.readFile(pathOf(upload, file)) : Effect.succeed(undefined))),
        Effect.mapError(toStoreError(upload))
      ),
    remove: (upload) =>
      Effect.mapError(
        fs.remove(join(directoryOf(root), upload), { recursive: true, force: true }),
        toStoreError(upload)
      )
  }
}
