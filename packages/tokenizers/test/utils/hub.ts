/** A fake Hugging Face hub behind an HttpClient, which records its requests. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createHash } from "node:crypto"

export const endpoint = "https://hub.test"
export const commit = "0123456789abcdef0123456789abcdef01234567"

export interface File {
  readonly content: string
  /** the hub redirects to another host for large files */
  readonly large?: boolean
}

/** The options of a fake hub with one repository. */
export interface Options {
  readonly repo?: string
  readonly files: { readonly [name: string]: File }
  /** replaces a response: "lost" for none, "cut" for a changed body */
  readonly instead?: (request: { readonly url: string; readonly count: number }) => Replacement | undefined
  /** delays all responses until it completes */
  readonly gate?: Deferred.Deferred<void>
}

type Replacement = "lost" | "cut" | { readonly status: number; readonly headers?: Record<string, string> }

export interface RecordedRequest {
  readonly url: string
  readonly authorization: string | undefined
  readonly headers: ReadonlyArray<string>
}

const gitBlob = (content: string) =>
  createHash("sha1")
    .update(`blob ${Buffer.byteLength(content)}\0`)
    .update(content)
    .digest("hex")

export const make = (options: Options) => {
  const requests: Array<RecordedRequest> = []
  const repo = options.repo ?? "org/model"
  const respond = (url: URL): Response => {
    if (url.href.startsWith(`${endpoint}/api/models/${repo}/revision/`)) {
      return Response.json({
        id: repo,
        sha: commit,
        siblings: Object.entries(options.files).map(([rfilename, { content, large }]) => ({
          rfilename,
          size: Buffer.byteLength(content),
          blobId: gitBlob(content),
          ...(large === true ? { lfs: { sha256: createHash("sha256").update(content).digest("hex") } } : {})
        }))
      })
    }
    const held = url.pathname.startsWith(`/${repo}/resolve/${commit}/`) || url.origin === "https://storage.test"
    const file = held ? options.files[url.pathname.split("/").at(-1)!] : undefined
    if (file === undefined) return new Response("Not Found", { status: 404 })
    if (file.large === true && url.origin === endpoint) {
      const location = `https://storage.test/${url.pathname.split("/").at(-1)}?signature=x`
      return new Response(null, { status: 302, headers: { location } })
    }
    return new Response(file.content)
  }
  const execute = (request: HttpClientRequest.HttpClientRequest, url: URL) =>
    Effect.gen(function* () {
      requests.push({
        url: url.href,
        authorization: request.headers["authorization"],
        headers: Object.keys(request.headers)
      })
      const count = requests.filter((each) => each.url === url.href).length
      if (options.gate !== undefined) yield* Deferred.await(options.gate)
      const instead = options.instead?.({ url: url.href, count })
      if (instead === "lost") {
        return yield* new HttpClientError.RequestError({ request, reason: "Transport", cause: new Error("ECONNRESET") })
      }
      if (instead === "cut") return HttpClientResponse.fromWeb(request, new Response("{"))
      const response =
        instead === undefined
          ? respond(url)
          : new Response("", { status: instead.status, headers: instead.headers ?? {} })
      return HttpClientResponse.fromWeb(request, response)
    })
  const layer = Layer.succeed(HttpClient.HttpClient, HttpClient.make(execute))
  return { requests, layer }
}
