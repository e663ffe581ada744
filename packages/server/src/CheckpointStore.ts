/**
 * Stores checkpoints: an adapter, optionally the state of its optimizer, and metadata. A checkpoint is a snapshot, which
 * later training does not change. A reader sees all of a checkpoint or none of it.
 *
 * @since 0.1.0
 */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as backup from "./internal/checkpoints/disk/backup.ts"
import * as fileStore from "./internal/checkpoints/fileStore.ts"
import * as layout from "./internal/checkpoints/layout.ts"
import * as memoryStore from "./internal/checkpoints/memoryStore.ts"
import type * as model from "./internal/checkpoints/model.ts"
import type * as uploadFiles from "./internal/checkpoints/uploadFiles.ts"
import type * as Store from "./Store.ts"

export {
  /**
   * @since 0.1.0
   * @category errors
   */
  CheckpointExists,
  /**
   * @since 0.1.0
   * @category errors
   */
  CheckpointNotFound,
  /**
   * @since 0.1.0
   * @category errors
   */
  CheckpointStoreError,
  /**
   * @since 0.1.0
   * @category schemas
   */
  Info,
  /**
   * @since 0.1.0
   * @category errors
   */
  QuotaExceeded
} from "./internal/checkpoints/model.ts"

export type {
  /**
   * @since 0.1.0
   * @category models
   */
  Change,
  /**
   * @since 0.1.0
   * @category models
   */
  Checkpoint,
  /**
   * @since 0.1.0
   * @category models
   */
  SaveOptions
} from "./internal/checkpoints/model.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * Fails with `CheckpointExists` unless the path is free or `overwrite` is set, and with `QuotaExceeded` if a service
   * with quotas has no room for it. An expired checkpoint is replaced.
   */
  readonly save: (
    options: model.SaveOptions
  ) => Effect.Effect<model.Info, model.CheckpointExists | model.CheckpointStoreError | model.QuotaExceeded>
  /** The weights, and the state of the optimizer if it was saved. */
  readonly load: (
    path: TinkerPath.TinkerPath
  ) => Effect.Effect<model.Checkpoint, model.CheckpointNotFound | model.CheckpointStoreError>
  readonly info: (
    path: TinkerPath.TinkerPath
  ) => Effect.Effect<model.Info, model.CheckpointNotFound | model.CheckpointStoreError>
  /** Changes the metadata, and returns all of it. */
  readonly update: (
    path: TinkerPath.TinkerPath,
    change: model.Change
  ) => Effect.Effect<model.Info, model.CheckpointNotFound | model.CheckpointStoreError>
  readonly remove: (
    path: TinkerPath.TinkerPath
  ) => Effect.Effect<void, model.CheckpointNotFound | model.CheckpointStoreError>
  /** All checkpoints that have not expired, the newest first. */
  readonly list: Effect.Effect<ReadonlyArray<model.Info>, model.CheckpointStoreError>
  /** The files of adapters that are being uploaded, until they are imported. */
  readonly uploads: UploadFiles
}

/**
 * The files of uploads, by the id of the upload and the name of the file.
 *
 * @since 0.1.0
 * @category models
 */
export interface UploadFiles extends uploadFiles.UploadFiles {}

/**
 * @since 0.1.0
 * @category tags
 */
export class CheckpointStore extends Context.Tag("@effect-tinker/server/CheckpointStore")<CheckpointStore, Service>() {}

/**
 * A store in memory, which ends with the process.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeMemory: Effect.Effect<Service> = memoryStore.make

/**
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<CheckpointStore> = Layer.effect(CheckpointStore, makeMemory)

/**
 * A store in a directory, which is created when a checkpoint is first saved. A checkpoint is the directory
 * `<directory>/<training run>/<kind>/<name>`. It holds `adapter_model.safetensors` and `adapter_config.json`, which PEFT
 * loads, `checkpoint.json`, and, if the state of the optimizer was saved, `optimizer.safetensors`.
 *
 * Saves are atomic and durable. The files are written to a temporary directory, synced to the disk, and renamed into
 * place. If the process or the machine stops, a checkpoint whose save was acknowledged is complete, and no other is
 * visible. Temporary directories are removed when the store is next made. Reads verify the SHA-256 of each file.
 *
 * The records of the checkpoints are in the `Store`. Checkpoints of the directory that it does not have are added when the
 * layer is built. Processes that share the store may share the directory.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeFileSystem: (
  directory: string
) => Effect.Effect<Service, never, FileSystem.FileSystem | Path.Path | Store.Store> = fileStore.make

/**
 * @since 0.1.0
 * @category layers
 */
export const layerFileSystem = (
  directory: string
): Layer.Layer<CheckpointStore, never, FileSystem.FileSystem | Path.Path | Store.Store> =>
  Layer.effect(CheckpointStore, makeFileSystem(directory))

/**
 * What a copy of a store holds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Copied extends backup.Copied {}

/**
 * Copies the files of a store that is in use from one directory to another. The `Store` holds a copy of its records that
 * was made before, so that every checkpoint that they name has its files, unless it was removed since: then the copy has
 * neither. What was saved since may be there too.
 *
 * @since 0.1.0
 * @category backups
 */
export const copyFiles: (
  from: string,
  to: string
) => Effect.Effect<Copied, model.CheckpointStoreError, FileSystem.FileSystem | Path.Path | Store.Store> =
  backup.copyFiles

/**
 * The directory of a checkpoint in the store `directory`, by its `tinker://` path. None if the path is not one of a
 * checkpoint.
 *
 * @since 0.1.0
 * @category getters
 */
export const directoryOf = (path: Path.Path, directory: string, checkpoint: string): Option.Option<string> =>
  TinkerPath.parse(checkpoint).pipe(
    Option.flatMapNullable(layout.segmentsOf),
    Option.map((segments) => path.join(directory, ...segments))
  )
