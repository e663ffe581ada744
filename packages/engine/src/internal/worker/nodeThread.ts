/** Starts the thread of an engine on Node, Bun and Deno. */
import { Worker } from "node:worker_threads"
import type { Spawn } from "./thread.ts"

const spawnWorker = (): Worker => {
  const settings = { name: "effect-tinker-engine" }
  return import.meta.url.endsWith(".ts")
    ? new Worker(new URL("./nodeWorkerFromSources.mjs", import.meta.url), {
        ...settings,
        execArgv: ["--conditions=effect-tinker-source"]
      })
    : new Worker(new URL("./nodeWorker.js", import.meta.url), settings)
}

/** @internal */
export const spawn: Spawn = (events) => {
  const worker = spawnWorker()
  worker.on("message", events.message)
  worker.on("error", events.crashed)
  worker.on("messageerror", (cause) => {
    events.crashed(cause)
    void worker.terminate()
  })
  worker.on("exit", (code) => events.exited(`the thread ended with code ${code}`))
  return {
    post: (request) => worker.postMessage(request),
    keepAlive: (isNeeded) => (isNeeded ? worker.ref() : worker.unref()),
    terminate: () => worker.terminate()
  }
}
