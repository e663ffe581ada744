import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { failed, tinker } from "../../utils/command.ts"
import { stubServer } from "../../utils/fixtures.ts"
import { key, layer as ServiceLive } from "../../utils/service.ts"

layer(ServiceLive, { excludeTestServices: true })("the error message of a failed command", (it) => {
  for (const [status, title] of [
    [400, "Invalid request"],
    [401, "Authentication failed"],
    [402, "Billing issue"],
    [403, "Permission denied"],
    [404, "Resource not found"],
    [409, "API error (status 409)"],
    [418, "API error (status 418)"],
    [422, "Invalid data provided"],
    [429, "Rate limit exceeded"],
    [500, "Internal server error"]
  ] as const) {
    it.scoped(`for status ${status} is one line with the request id and without the API key`, () =>
      Effect.gen(function* () {
        const TINKER_BASE_URL = yield* stubServer((request, response) => {
          response.writeHead(status, {
            "content-type": "application/json",
            "x-should-retry": "false",
            "x-request-id": "req-7"
          })
          response.end(JSON.stringify({ detail: `no good:\nyour key is ${request.headers["x-api-key"]}` }))
        })
        const result = yield* tinker(["run", "list"], { env: { TINKER_BASE_URL } })
        failed(result, `Error: ${title}: `)
        assert.include(result.stderr, "req-7")
        assert.include(result.stderr, "your key is <redacted>")
        assert.notInclude(result.stderr, key)
      })
    )
  }

  it.effect("names the setting that is missing or invalid", () =>
    Effect.gen(function* () {
      failed(
        yield* tinker(["run", "list"], { env: { TINKER_API_KEY: undefined } }),
        /Configuration error.*TINKER_API_KEY/
      )
      failed(
        yield* tinker(["run", "list"], { env: { TINKER_BASE_URL: "nowhere" } }),
        /Configuration error.*TINKER_BASE_URL/
      )
      failed(yield* tinker(["run", "list"], { env: { TINKER_API_KEY: "tml-wrong-key" } }), "Authentication failed")
    })
  )
})
