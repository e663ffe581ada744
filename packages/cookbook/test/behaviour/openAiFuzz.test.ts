import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "fast-check"
import * as OpenAi from "@effect-tinker/api/OpenAi"
import { baseModel as model, listen } from "../utils/scriptedEngine.ts"

/** Values that each field may meet: of every type, at and beyond every bound. */
const value = FastCheck.oneof(
  FastCheck.jsonValue({ maxDepth: 2 }),
  FastCheck.constantFrom<unknown>(
    0,
    -1,
    1,
    1.5,
    129,
    2 ** 31,
    2 ** 53,
    1e308,
    "",
    "x".repeat(5000),
    [],
    {},
    null,
    true
  ),
  FastCheck.constantFrom<unknown>(
    [[]],
    [""],
    [-1],
    ["a", 1],
    { type: "function" },
    { type: "text" },
    "required",
    "none"
  )
)

/** A body that is valid but for some of its fields. */
const bodies = (valid: object, schema: { readonly fields: object }) =>
  FastCheck.dictionary(FastCheck.constantFrom(...Object.keys(schema.fields), "surprise"), value, {
    minKeys: 1,
    maxKeys: 3
  }).map((changes) => ({ ...valid, ...changes }))

const message = FastCheck.record(
  {
    role: FastCheck.oneof(FastCheck.constantFrom("user", "assistant", "tool", "system"), value),
    content: value,
    tool_calls: value,
    tool_call_id: value
  },
  { requiredKeys: ["role"] }
)

describe("the fields of the OpenAI protocol", () => {
  const check = (path: string, bodies: FastCheck.Arbitrary<unknown>) =>
    Effect.gen(function* () {
      const { url } = yield* listen({ script: () => "Hello!" })
      yield* Effect.promise(() =>
        FastCheck.assert(
          FastCheck.asyncProperty(bodies, async (body) => {
            const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }
            const response = await fetch(`${url}${path}`, init)
            const text = await response.text()
            assert.oneOf(response.status, [200, 400, 404], text)
            if (response.status === 200) return
            const { error } = JSON.parse(text) as {
              readonly error: { readonly message: unknown; readonly type: unknown }
            }
            assert.isString(error.message)
            assert.isString(error.type)
            assert.isBelow(text.length, 4000)
          }),
          { numRuns: 250 }
        )
      )
    })

  it.scopedLive("are taken or refused by name in completions, and never break the service", () =>
    check("/v1/completions", bodies({ model, prompt: "hi", max_tokens: 4 }, OpenAi.CompletionRequest))
  )

  it.scopedLive("are taken or refused by name in chats, and never break the service", () =>
    check(
      "/v1/chat/completions",
      bodies({ model, messages: [{ role: "user", content: "hi" }], max_tokens: 4 }, OpenAi.ChatRequest)
    )
  )

  it.scopedLive("are taken or refused by name in messages, and never break the service", () =>
    check(
      "/v1/chat/completions",
      FastCheck.array(message, { minLength: 1, maxLength: 3 }).map((messages) => ({ model, messages, max_tokens: 4 }))
    )
  )
})
