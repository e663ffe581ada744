import { assert, describe, it } from "@effect/vitest"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Arbitrary from "effect/Arbitrary"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Schema from "effect/Schema"
import * as FastCheck from "fast-check"

const now = Date.UTC(2026, 0, 1)
const fromStatus = (status: number, options?: Partial<TinkerError.FailedResponse>) =>
  TinkerError.fromResponse({ method: "forwardBackward", status, headers: {}, body: "", now, ...options })

describe("TinkerError", () => {
  const statuses: ReadonlyArray<readonly [number, TinkerError.TinkerError["_tag"], string, boolean]> = [
    [400, "BadRequest", "user", false],
    [401, "Unauthorized", "user", false],
    [402, "PaymentRequired", "user", false],
    [403, "PermissionDenied", "user", false],
    [404, "NotFound", "user", false],
    [405, "BadRequest", "user", false],
    [408, "ServerError", "server", true],
    [409, "Conflict", "user", false],
    [410, "FutureExpired", "server", false],
    [418, "BadRequest", "user", false],
    [422, "BadRequest", "user", false],
    [425, "BadRequest", "user", false],
    [429, "RateLimited", "server", true],
    [500, "ServerError", "server", true],
    [503, "ServerError", "server", true],
    [599, "ServerError", "server", true]
  ]
  it.each(statuses)("maps status %d to %s", (status, tag, category, retryable) => {
    const error = fromStatus(status)
    assert.strictEqual(error._tag, tag)
    assert.strictEqual(error.category, category)
    assert.strictEqual(error.isRetryable, retryable)
    assert.isTrue(TinkerError.isTinkerError(error))
    assert.include(error.message, `forwardBackward: the service responded with ${status}`)
  })

  const adviceCases: ReadonlyArray<readonly [string, number, string, RegExp, RegExp | undefined]> = [
    ["listUserCheckpoints", 404, '{"detail":"Not Found"}', /This service has no listUserCheckpoints at this URL/, /id/],
    ["saveState", 405, '{"detail":"Method Not Allowed"}', /This service has no saveState/, /Correct/],
    ["saveState", 404, '{"detail":"there is no POST /x/save"}', /This service has no saveState/, /id or path/],
    ["sample", 501, '{"detail":"Not implemented"}', /This service has no sample/, /Try again/],
    ["getTrainingRun", 404, '{"detail":"no training run r"}', /Check the id or path\.$/, /session/],
    ["sample", 404, '{"detail":"no sampling session s"}', /its session is still alive/, undefined],
    ["saveState", 409, '{"detail":"there is a checkpoint a already"}', /`overwrite: true`/, undefined],
    [
      "saveState",
      409,
      '{"detail":"a is being saved: it cannot be overwritten"}',
      /wait for the earlier/,
      /overwrite: true/
    ],
    ["publishCheckpoint", 409, '{"detail":"a is published already"}', /nothing to change/, /overwrite/],
    ["optimStep", 409, '{"detail":"seq_id 3 was used"}', /from the last checkpoint/, /overwrite/],
    ["copyWeights", 409, '{"detail":"model_seq_id 3 is in use"}', /from the last checkpoint/, /overwrite/],
    ["forwardBackward", 413, "", /Send less/, /Correct/],
    ["forwardBackward", 503, "", /try again later/, /report/],
    ["forwardBackward", 403, "<html><title>Denied</title></html>", /A proxy or firewall may have sent it/, /key/]
  ]
  it.each(adviceCases)(
    "gives advice that fits %s with status %d and the body %s",
    (method, status, body, is, isNot) => {
      const { message } = fromStatus(status, { method, body })
      const advice = message.slice(message.indexOf(". ") + 2)
      assert.match(advice, is)
      if (isNot !== undefined) assert.notMatch(advice, isNot)
    }
  )

  it("lets x-should-retry override the status", () => {
    assert.isTrue(fromStatus(400, { headers: { "x-should-retry": "true" } }).isRetryable)
    assert.isFalse(fromStatus(500, { headers: { "x-should-retry": "false" } }).isRetryable)
    assert.isTrue(fromStatus(500, { headers: { "x-should-retry": "TRUE" } }).isRetryable)
  })

  const hints: ReadonlyArray<readonly [Record<string, string>, number | undefined]> = [
    [{ "retry-after-ms": "1500" }, 1500],
    [{ "retry-after-ms": "1500", "retry-after": "9" }, 1500],
    [{ "retry-after": "2" }, 2000],
    [{ "retry-after": "0.5" }, 500],
    [{ "retry-after": "60" }, 60_000],
    [{ "retry-after": "61" }, undefined],
    [{ "retry-after": "0" }, undefined],
    [{ "retry-after": "-1" }, undefined],
    [{ "retry-after": "Thu, 01 Jan 2026 00:00:20 GMT" }, 20_000],
    [{ "retry-after": "Thu, 01 Jan 2025 00:00:20 GMT" }, undefined],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after": "" }, undefined],
    [{}, undefined]
  ]
  it.each(hints)("reads how long to wait from the headers %o", (headers, expected) => {
    assert.strictEqual(TinkerError.retryAfterMillis(headers, now), expected)
    const { retryAfter } = fromStatus(429, { headers })
    assert.strictEqual(retryAfter === undefined ? undefined : Duration.toMillis(retryAfter), expected)
  })

  it.each([
    ['{"detail":"no such model"}', "no such model"],
    ['{"detail":[{"loc":["body"],"msg":"Field required"}]}', '[{"loc":["body"],"msg":"Field required"}]'],
    ['{"error":"internal","message":"Log ID 1"}', "Log ID 1"],
    ["<html>bad gateway</html>", "a web page"],
    ["<!DOCTYPE html><head><title>502 Bad\n Gateway</title>", "a web page (502 Bad Gateway)"],
    ["null", "null"]
  ])("finds the reason in the body %s", (body, expected) => {
    assert.include(fromStatus(500, { body }).message, `${expected}. `)
  })

  it("has the request id that is passed to it, or else the one in the header", () => {
    assert.strictEqual(fromStatus(500, { headers: { "x-request-id": "a" } }).requestId, "a")
    assert.strictEqual(fromStatus(500, { headers: { "x-request-id": "a" }, requestId: "b" }).requestId, "b")
    assert.isFalse("requestId" in fromStatus(500))
  })

  const classes = Object.entries(TinkerError).filter(
    (member): member is [string, typeof TinkerError.Unauthorized] => Schema.isSchema(member[1]) && member[0] !== "Union"
  )
  it.each(classes)("decodes %s to an equal error with the same getters", (tag, Class) => {
    FastCheck.assert(
      FastCheck.property(Arbitrary.make(Class), (error) => {
        const decoded = Schema.decodeUnknownSync(Class)(Schema.encodeSync(Class)(error))
        assert.instanceOf(error, Class)
        assert.instanceOf(error, Error)
        assert.strictEqual(error._tag as string, tag)
        assert.isTrue(TinkerError.isTinkerError(error))
        // Neither a cause nor NaN equals its copy.
        const isComparable = error.cause === undefined && !Object.values(error).some((value) => Number.isNaN(value))
        if (isComparable) assert.isTrue(Equal.equals(error, decoded))
        assert.strictEqual(decoded.message, error.message)
        assert.strictEqual(decoded.category, error.category)
        assert.strictEqual(decoded.isRetryable, error.isRetryable)
        assert.deepStrictEqual(decoded.retryAfter, error.retryAfter)
      }),
      { numRuns: 20 }
    )
  })

  it.effect("can be caught by its tag", () =>
    Effect.gen(function* () {
      const caught = yield* Effect.fail(fromStatus(401)).pipe(
        Effect.catchTag("Unauthorized", (error) => Effect.succeed(error.status))
      )
      assert.strictEqual(caught, 401)
    })
  )

  it("is listed in the schema of all errors", () => {
    assert.sameMembers(
      TinkerError.Union.members.map(({ name }) => name),
      classes.map(([name]) => name)
    )
  })

  it("has a status for an HttpApi that lists it among its errors, where it is not 500", () => {
    const api = HttpApi.make("own").add(
      HttpApiGroup.make("tuning").add(
        HttpApiEndpoint.post("start", "/start")
          .addError(TinkerError.InvalidInput)
          .addError(TinkerError.RateLimited)
          .addError(TinkerError.ClientClosed)
          .addError(TinkerError.NoProgress)
      )
    )
    const { responses } = OpenApi.fromApi(api).paths["/start"]!.post!
    assert.includeMembers(Object.keys(responses), ["400", "429", "503", "504"])
    assert.include(JSON.stringify(responses["429"]), "RateLimited")
  })
})
