/** Starts the thread of an engine in a browser: a Web Worker, which the application makes from a file of its own. */
import type * as protocol from "./protocol.ts"
import type { Spawn } from "./thread.ts"

/** A fault of a worker that says nothing, as when its file cannot be loaded. */
const faultOf = ({ filename, lineno, message }: ErrorEvent): Error =>
  new Error(
    message
      ? `the worker failed at ${filename}:${lineno}: ${message}`
      : "the worker failed before it answered: its file may be missing, or not a module for browsers"
  )

/** @internal */
export const spawn =
  (make: () => Worker): Spawn =>
  (events) => {
    const worker = make()
    let hasEnded = false
    // a Web Worker says nothing when it ends
    const end = (how: string): void => {
      worker.terminate()
      if (hasEnded) return
      hasEnded = true
      events.exited(how)
    }
    worker.addEventListener("message", ({ data }: MessageEvent<protocol.Response>) => events.message(data))
    worker.addEventListener("error", (event) => {
      events.crashed(faultOf(event))
      end("the worker failed")
    })
    worker.addEventListener("messageerror", () => {
      events.crashed(new Error("a message of the worker cannot be read"))
      end("the worker failed")
    })
    return {
      post: (request) => worker.postMessage(request),
      keepAlive: () => {},
      terminate: async () => end("the worker was ended")
    }
  }
