/**
 * The files of a web page: a `FileSystem` and a `Path` in the browser's storage, the same in the page and in its workers.
 * They outlive the page, and belong to its origin.
 *
 * ```ts
 * import * as BrowserFileSystem from "@effect-tinker/embedded/BrowserFileSystem"
 *
 * const FilesLive = BrowserFileSystem.layer()
 * ```
 *
 * - **Storage** is one database of IndexedDB, which every browser has, in workers and private windows too, and whose
 *   transactions make each operation atomic: a directory that is renamed is never seen in part. What an operation wrote is
 *   durable when it succeeds; an interrupted one wrote nothing.
 * - **Paths** are absolute, `/` is the root, and what is relative starts there. There are no links, owners and modes.
 * - **Room.** The browser bounds what a page may store, and may remove all of it when its disk is full, unless the page asks
 *   for more by `navigator.storage.persist()`. A write without room fails with the reason `WriteZero`.
 *
 * @since 0.1.0
 */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as database from "./internal/files/database.ts"
import * as fileSystem from "./internal/files/fileSystem.ts"

/**
 * Opens the files of this name, which are made if they are not there.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (name = "effect-tinker"): Layer.Layer<FileSystem.FileSystem | Path.Path, PlatformError> =>
  Layer.merge(Layer.scoped(FileSystem.FileSystem, Effect.map(database.open(name), fileSystem.make)), Path.layer)
