/** The engine on all other platforms: on the thread of the caller. */
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as Engine from "@effect-tinker/server/Engine"
import * as Layer from "effect/Layer"
import type { MakeLayer } from "./makeLayer.ts"

/** @internal */
export const layer: MakeLayer = (options, thread = "caller") =>
  thread === "caller"
    ? JaxEngine.layer(options)
    : Layer.fail(
        new Engine.EngineError({
          reason: "thread is worker: this platform has no worker threads for the engine, so leave thread out",
          category: "user"
        })
      )
