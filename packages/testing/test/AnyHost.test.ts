import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as AnyHost from "../src/AnyHost.ts"
import * as ScriptedHttpClient from "../src/ScriptedHttpClient.ts"

describe("redirect", () => {
  it.scoped("sends requests to any host to the server, with their paths", () =>
    Effect.gen(function* () {
      const server = yield* ScriptedHttpClient.make(ScriptedHttpClient.json({}))
      const http = AnyHost.redirect(server.client, "http://127.0.0.1:8700")
      yield* http.get("https://service.test/api/v1/a?b=c")
      yield* http.get("http://other.test:1/api/v1/d")
      assert.deepStrictEqual(
        (yield* server.requests).map(({ url }) => url),
        ["http://127.0.0.1:8700/api/v1/a?b=c", "http://127.0.0.1:8700/api/v1/d"]
      )
    })
  )
})
