/** The options and the constructor that the engines of all platforms share. */
import type * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import type * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import type * as Engine from "@effect-tinker/server/Engine"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import type * as Layer from "effect/Layer"

/** The thread that computes. @internal */
export type Thread = "worker" | "caller"

/** Makes the engine of a platform; each platform chooses the default thread. @internal */
export type MakeLayer = (
  options: JaxEngine.Options,
  thread?: Thread | undefined
) => Layer.Layer<
  Engine.Engine,
  ModelDirectory.ModelDirectoryError | Engine.EngineError,
  FileSystem.FileSystem | Path.Path
>
