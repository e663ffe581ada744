/** Puts the routes and the bodies of another server in front of the service. */
import { prefix } from "@effect-tinker/api/TinkerApi"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import type { HttpClientErrors } from "../effect/httpErrors.ts"
import { pathOf, parseBody, readBody } from "../scripted/requestBody.ts"
import { respond } from "../scripted/respond.ts"

/** A JSON object. @internal */
export type Body = { readonly [name: string]: unknown }

/** A request below `/api/v1`. @internal */
export interface Call {
  readonly method: string
  /** with the query */
  readonly path: string
  readonly headers: { readonly [name: string]: string | undefined }
  readonly bytes: Uint8Array
  /** the parsed body, also of protobuf */
  readonly body: Body
}

/** @internal */
export interface Answer {
  readonly status: number
  readonly headers?: { readonly [name: string]: string }
  /** sent as JSON */
  readonly body?: unknown
}

type Answered = Effect.Effect<Answer, HttpClientErrors>

/** Asks the service, with another path or body where they are given. It responds in JSON. @internal */
export type Ask = (change?: { readonly path?: string; readonly body?: Body }) => Answered

/** What a server does with the requests to a path. The first rule that matches applies. @internal */
export interface Rule {
  readonly method: string
  /** matched against the path without its query */
  readonly path: RegExp
  readonly answer: (call: Call, ask: Ask, match: ReadonlyArray<string>) => Answered
}

/** @internal */
export const rule = (method: string, path: RegExp, answer: Rule["answer"]): Rule => ({ method, path, answer })

/** The response of FastAPI to a path, or a method, that it has no route for. @internal */
export const missing = (status: 404 | 405 = 404): Answer => ({
  status,
  body: { detail: status === 404 ? "Not Found" : "Method Not Allowed" }
})

/** Changes the body of a success. @internal */
export const mapBody = (answered: Answered, change: (body: Body) => unknown, status?: number): Answered =>
  Effect.map(answered, (answer) =>
    answer.status < 300
      ? { ...answer, status: status ?? answer.status, body: change((answer.body ?? {}) as Body) }
      : answer
  )

const readJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const asker =
  (service: HttpClient.HttpClient, origin: string, call: Call): Ask =>
  ({ body, path = call.path } = {}) =>
    Effect.gen(function* () {
      const headers = { ...call.headers, accept: "application/json" } as Record<string, string>
      const request = HttpClientRequest.make(call.method as "GET" | "POST")(`${origin}${prefix}${path}`).pipe(
        HttpClientRequest.setHeaders(headers),
        body !== undefined
          ? HttpClientRequest.bodyUint8Array(new TextEncoder().encode(JSON.stringify(body)), "application/json")
          : call.bytes.length === 0
            ? (same) => same
            : HttpClientRequest.bodyUint8Array(call.bytes, headers["content-type"] ?? "application/json")
      )
      const response = yield* service.execute(request)
      const text = yield* response.text
      return { status: response.status, headers: response.headers, body: text === "" ? undefined : readJson(text) }
    })

const encode = (request: HttpClientRequest.HttpClientRequest, { body, headers = {}, status }: Answer) => {
  const { "content-encoding": _, "content-length": __, "content-type": ___, ...kept } = headers
  return respond(request, {
    _tag: "Response",
    status,
    headers: body === undefined ? kept : { ...kept, "content-type": "application/json" },
    body: body === undefined ? "" : JSON.stringify(body)
  })
}

/** A client of the service as the rules change it. Requests outside of `/api/v1`, such as downloads, are unchanged. @internal */
export const withRules = (service: HttpClient.HttpClient, rules: ReadonlyArray<Rule>): HttpClient.HttpClient =>
  HttpClient.make((request, url) => {
    if (!url.pathname.includes(`${prefix}/`)) return service.execute(request)
    return Effect.gen(function* () {
      const bytes = yield* readBody(request)
      const path = pathOf(url)
      const parsed = parseBody(bytes, new TextDecoder().decode(bytes), request.headers["content-type"])
      const call: Call = {
        method: request.method,
        path: `${path}${url.search}`,
        headers: request.headers,
        bytes,
        body: typeof parsed === "object" && parsed !== null ? (parsed as Body) : {}
      }
      for (const { answer, method, path: pattern } of rules) {
        const match = method === request.method || method === "*" ? pattern.exec(path) : null
        if (match !== null) return yield* encode(request, yield* answer(call, asker(service, url.origin, call), match))
      }
      return yield* service.execute(request)
    })
  })
