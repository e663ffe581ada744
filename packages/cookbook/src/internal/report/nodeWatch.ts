/** Serves the live page of a run on the loopback address. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpServer from "@effect/platform/HttpServer"
import * as Effect from "effect/Effect"
import * as Http from "node:http"
import * as app from "./app.ts"
import * as page from "./nodePage.ts"
import * as read from "./read.ts"

/** @internal */
export const watch = Effect.fn("NodeReport.watch")(function* (
  directory: string,
  { port = 0 }: { readonly port?: number | undefined } = {}
) {
  // a directory that is none of a run is an error here, not on the page
  yield* read.read(directory)
  const server = yield* Effect.mapError(
    NodeHttpServer.make(() => Http.createServer(), { host: "127.0.0.1", port }),
    ({ cause }) => new read.ReportError({ path: `port ${port}`, reason: "cannot be listened on", cause })
  )
  yield* server.serve(yield* app.make(directory, page.live("/data")))
  return HttpServer.formatAddress(server.address).replace("0.0.0.0", "127.0.0.1")
})
