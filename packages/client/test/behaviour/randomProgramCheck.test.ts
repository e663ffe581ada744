import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { check } from "../utils/randomProgram.ts"

type Send = HttpClient.HttpClient["execute"]
type Body = Record<string, unknown>

const pathOf = ({ url }: HttpClientRequest.HttpClientRequest) => url.replace(/^.*\/api\/v1/, "")

const bodyOf = ({ body }: HttpClientRequest.HttpClientRequest): Body =>
  body._tag === "Uint8Array" ? (JSON.parse(new TextDecoder().decode(body.body)) as Body) : {}

const withBody = (request: HttpClientRequest.HttpClientRequest, body: Body) =>
  HttpClientRequest.bodyText(request, JSON.stringify(body), "application/json")

const answer = (request: HttpClientRequest.HttpClientRequest, body: Body) =>
  Effect.succeed(HttpClientResponse.fromWeb(request, Response.json(body)))

/** Clients with a fault in one optimizer step out of four. */
const faults: { readonly [name: string]: () => (send: Send) => Send } = {
  "loses a step and reports that it was done": () => (send) => (request) => {
    if (pathOf(request) === "/optim_step" && Number(bodyOf(request)["seq_id"]) % 4 === 2) {
      return answer(request, { request_id: "lost" })
    }
    return pathOf(request) === "/retrieve_future" && bodyOf(request)["request_id"] === "lost"
      ? answer(request, { metrics: {} })
      : send(request)
  },
  "sends a step twice, also with the next sequence number": () => (send) => (request) => {
    if (pathOf(request) !== "/optim_step") return send(request)
    const body = bodyOf(request)
    const seq_id = Number(body["seq_id"])
    return seq_id % 4 === 2
      ? Effect.andThen(send(withBody(request, { ...body, seq_id: seq_id + 1 })), send(request))
      : send(request)
  },
  "sends other parameters than were submitted": () => (send) => (request) => {
    if (pathOf(request) !== "/optim_step") return send(request)
    const body = bodyOf(request)
    const adam_params = { ...(body["adam_params"] as Body), learning_rate: 0.5 }
    return send(withBody(request, { ...body, adam_params }))
  },
  "reports a failed step as done": () => (send) => (request) =>
    pathOf(request) === "/optim_step" && Number(bodyOf(request)["seq_id"]) % 4 === 2
      ? Effect.flatMap(
          send(withBody(request, { ...bodyOf(request), adam_params: { learning_rate: -1 } })),
          (response) => (response.status < 400 ? Effect.succeed(response) : answer(request, { request_id: "lost" }))
        )
      : pathOf(request) === "/retrieve_future" && bodyOf(request)["request_id"] === "lost"
        ? answer(request, { metrics: {} })
        : send(request),
  "cannot be interrupted": () => (send) => (request) =>
    pathOf(request) === "/optim_step"
      ? Effect.uninterruptible(Effect.andThen(Effect.sleep("3 hours"), send(request)))
      : send(request)
}

const problemsOf = (make: () => (send: Send) => Send, seeds: number, enough: number) =>
  Effect.gen(function* () {
    const found: Array<string> = []
    for (let seed = 0; seed < seeds && found.length < enough; seed++) {
      const fault = make()
      const between = (http: HttpClient.HttpClient) =>
        HttpClient.makeWith<HttpClientError.HttpClientError, never, HttpClientError.HttpClientError, never>(
          Effect.flatMap((request) => fault((request) => http.execute(request))(request)),
          Effect.succeed
        )
      const { problems } = yield* check(seed, { between })
      found.push(...problems)
    }
    return found
  })

describe("the check of random programs", () => {
  // the first test of the file: what the first program of a process leaves behind would change the second
  it.effect("is the same for the same seed, whatever ran before", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* check(1875), yield* check(1875))
    })
  )

  for (const [name, make] of Object.entries(faults)) {
    it.effect(`finds a client that ${name}`, () =>
      Effect.map(problemsOf(make, 30, 1), (found) => assert.isNotEmpty(found))
    )
  }

  it.effect("finds no problem in a client without a fault", () =>
    Effect.map(
      problemsOf(() => (send) => send, 5, Number.POSITIVE_INFINITY),
      (found) => assert.deepStrictEqual(found, [])
    )
  )
})
