/** A proxy for http that records what it is asked for. */
import * as Effect from "effect/Effect"
import { request as send } from "node:http"
import { stubServer } from "./fixtures.ts"

/**
 * Starts a proxy, which takes every host for the server at this URL. It never responds to the requests that `holds`
 * chooses. It stops with the scope.
 */
export const makeProxy = (upstream: string, holds: (target: string) => boolean = () => false) =>
  Effect.gen(function* () {
    const received: Array<{ readonly target: string; readonly authorization: string | undefined }> = []
    const { hostname, port } = new URL(upstream)
    const url = yield* stubServer((request, response) => {
      const { "proxy-authorization": authorization, ...headers } = request.headers
      const target = `${request.method} ${request.url}`
      received.push({ target, authorization })
      if (holds(target)) return
      const { pathname, search } = new URL(request.url!)
      const onward = send({ hostname, port, method: request.method, path: pathname + search, headers })
      onward.on("response", (forwarded) => {
        response.writeHead(forwarded.statusCode!, forwarded.headers)
        forwarded.pipe(response)
      })
      onward.on("error", () => response.destroy())
      request.pipe(onward)
    })
    return { received, url }
  })
