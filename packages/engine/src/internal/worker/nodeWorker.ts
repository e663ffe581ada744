/** The entry point of the thread of `NodeWorkerEngine`. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { parentPort } from "node:worker_threads"
import { serve } from "./serve.ts"

Effect.runFork(
  serve(
    {
      post: (response, transferred) => parentPort!.postMessage(response, transferred),
      listen: (receive) => parentPort!.on("message", receive)
    },
    Layer.merge(NodeFileSystem.layer, NodePath.layer)
  )
)
