/** The engine on Node, Bun and Deno: on a worker thread by default. */
import * as NodeWorkerEngine from "@effect-tinker/engine/NodeWorkerEngine"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { MakeLayer } from "./makeLayer.ts"

/** @internal */
export const layer: MakeLayer = (options, thread = "worker") =>
  thread === "worker"
    ? NodeWorkerEngine.layer(options)
    : Layer.unwrapEffect(
        // a program whose engine runs on a worker thread does not load it here
        Effect.map(
          Effect.promise(() => import("@effect-tinker/engine/JaxEngine")),
          (JaxEngine) => JaxEngine.layer(options)
        )
      )
