/** The constructor of the store that all platforms share. */
import type * as Store from "@effect-tinker/server/Store"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"

/** Copies the database of a directory, which may be in use, to another. Does nothing where there is none. @internal */
export type CopyDatabase = (
  from: string,
  to: string
) => Effect.Effect<void, Store.StoreError, FileSystem.FileSystem | Path.Path>

/** Makes the store of a directory of checkpoints. @internal */
export type MakeStore = (
  directory: string
) => Layer.Layer<Store.Store, Store.StoreError, FileSystem.FileSystem | Path.Path>
