/** The SDK over a NodeHttpClient with a `transformRequest`, which adds the same header as `wrapped.ts`. */
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import { run } from "./program.ts"

await run(
  NodeHttpClient.layerWith({
    transformRequest: (request) => ({ ...request, headers: { ...request.headers, "x-team": "blue" } })
  })
)
