/** The constructor of the store that all platforms share. */
import type * as Store from "@effect-tinker/server/Store"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import type * as Layer from "effect/Layer"

/** Makes the store of a directory of checkpoints. @internal */
export type MakeStore = (
  directory: string
) => Layer.Layer<Store.Store, Store.StoreError, FileSystem.FileSystem | Path.Path>
