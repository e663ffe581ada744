/** The fake Hugging Face hub over a socket, for the command to push to. */
import * as FakeHub from "@effect-tinker/testing/FakeHub"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpServer from "@effect/platform/HttpServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { createServer } from "node:http"

export const token = "hf_secretOfTheTests"

export interface Options extends Partial<Omit<FakeHub.Options, "token" | "fault">> {
  readonly token?: string
  /** Chooses the requests that fail, by method and path. */
  readonly faultOf?: FaultOf
}

export type FaultOf = (method: string, path: string) => FakeHub.Fault | undefined

export type Hub = Effect.Effect.Success<ReturnType<typeof makeHub>>

/** A rejection whose message repeats the token, which must not reach the user. */
export const reject = (status: number): FakeHub.Fault =>
  FakeHub.respond(
    status,
    { "content-type": "application/json", "x-request-id": "hub-7" },
    JSON.stringify({ error: `no: Bearer ${token}` })
  )

/** Starts a hub. */
export const makeHub = (options: Options = {}) =>
  Effect.gen(function* () {
    const { faultOf } = options
    const hub = yield* FakeHub.make({
      repositories: {},
      ...options,
      token: Redacted.make(options.token ?? token),
      fault: faultOf && (({ method, url }) => faultOf(method, new URL(url).pathname))
    })
    const server = NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })
    const context = yield* Layer.build(Layer.provideMerge(HttpServer.serve(hub.app), server))
    const url = yield* Effect.provide(
      HttpServer.addressWith((address) =>
        Effect.succeed(address._tag === "TcpAddress" ? `http://127.0.0.1:${address.port}` : "")
      ),
      context
    )
    const setFaultOf = (faultOf: FaultOf) => hub.setFault(({ method, url }) => faultOf(method, new URL(url).pathname))
    return { ...hub, url, setFaultOf }
  })

/** The requests that a hub received, such as `POST /api/repos/create`, if they match. */
export const requestsOf = (hub: Hub, pattern: RegExp = /./) =>
  Effect.map(hub.requests, (requests) =>
    requests.map(({ method, url }) => `${method} ${new URL(url).pathname}`).filter((request) => pattern.test(request))
  )

/** The names of the files on a branch. */
export const namesAt = (hub: Hub, repo: string, branch?: string) =>
  Effect.map(hub.filesAt(repo, branch), (files) => Object.keys(files ?? {}).sort())

/** The text of a file on a branch. */
export const textAt = (hub: Hub, repo: string, path: string, branch?: string) =>
  Effect.map(hub.filesAt(repo, branch), (files) => new TextDecoder().decode(files?.[path]))

/** Commits files on top of what is on the default branch, as somebody else. */
export const commitTo = (hub: Pick<Hub, "filesAt" | "push">, repo: string, files: FakeHub.Files) =>
  Effect.flatMap(hub.filesAt(repo), (before) => hub.push(repo, { ...before, ...files }))
