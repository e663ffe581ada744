/** The end of the connection in a Web Worker. */
import type * as protocol from "./protocol.ts"
import type { Port } from "./serve.ts"

/** The global scope of a worker, which the types of pages do not have. */
interface WorkerScope {
  readonly postMessage: (message: unknown, transferred: ReadonlyArray<ArrayBuffer>) => void
  readonly addEventListener: (type: "message", listener: (event: MessageEvent<protocol.Request>) => void) => void
}

const scope = globalThis as unknown as WorkerScope

/** @internal */
export const port: Port = {
  post: (response, transferred) => scope.postMessage(response, transferred),
  listen: (receive) => scope.addEventListener("message", ({ data }) => receive(data))
}
