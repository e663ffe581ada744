/** Which version of a file a response has, and which part of it. */
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { assert, describe, it } from "@effect/vitest"
import { isEncoded, isOtherVersion, readRange, validatorOf } from "../../../src/internal/download/fileVersion.ts"

const response = (headers: Record<string, string>, status = 206) =>
  HttpClientResponse.fromWeb(HttpClientRequest.get("https://files/1"), new Response("x", { status, headers }))

const range = (text: string) => response({ "content-range": text })

describe("the part of a file in a response", () => {
  it("is the one that was requested, or the whole file", () => {
    assert.deepStrictEqual(readRange(range("bytes 5-9/10"), 5), { offset: 5, total: 10 })
    assert.deepStrictEqual(readRange(range("bytes 15-29/30"), 15), { offset: 15, total: 30 })
    assert.deepStrictEqual(readRange(range("bytes 5-9/*"), 5), { offset: 5, total: undefined })
    assert.deepStrictEqual(readRange(response({ "content-length": "10" }, 200), 5), { offset: 0, total: 10 })
    assert.deepStrictEqual(readRange(response({}, 200), 5), { offset: 0, total: undefined })
  })

  it("is none where the response has other bytes, or does not say which", () => {
    for (const text of ["bytes 4-9/10", "bytes 5-9", "xbytes 5-9/10", "bytes 5-9/10x", "bytes -9/10", ""]) {
      assert.isUndefined(readRange(range(text), 5), text)
    }
    assert.isUndefined(readRange(response({}), 5))
  })

  it("has no size where the length is none, or that of compressed bytes", () => {
    const whole = (headers: Record<string, string>) => readRange(response(headers, 200), 0)?.total
    assert.strictEqual(whole({ "content-length": "10", "content-encoding": "identity" }), 10)
    assert.isUndefined(whole({ "content-length": "10", "content-encoding": "gzip" }))
    for (const length of ["-1", "1e3", "10 x", "x10"]) assert.isUndefined(whole({ "content-length": length }), length)
  })
})

describe("the version of a file", () => {
  it("is told by a strong ETag, else by the time of the last change, and never of compressed bytes", () => {
    const modified = { "last-modified": "yesterday" }
    assert.strictEqual(validatorOf(response({ ...modified, etag: '"a"' })), '"a"')
    assert.strictEqual(validatorOf(response({ ...modified, etag: 'W/"a"' })), "yesterday")
    assert.strictEqual(validatorOf(response(modified)), "yesterday")
    assert.isUndefined(validatorOf(response({ ...modified, etag: '"a"', "content-encoding": "br" })))
    assert.isFalse(isEncoded(response({})))
    assert.isFalse(isEncoded(response({ "content-encoding": "identity" })))
    assert.isTrue(isEncoded(response({ "content-encoding": "br" })))
  })

  it("is another one where the size, the validator, or the encoding differs", () => {
    const other = (
      known: { total?: number; validator?: string },
      headers: Record<string, string>,
      total: number | undefined
    ) => isOtherVersion({ total: known.total, validator: known.validator }, response(headers), total)
    const etag = { etag: '"a"' }
    assert.isFalse(other({ total: 10, validator: '"a"' }, etag, 10))
    assert.isTrue(other({ total: 10, validator: '"a"' }, etag, 11))
    assert.isFalse(other({ validator: '"a"' }, etag, 11))
    assert.isFalse(other({ total: 10, validator: '"a"' }, etag, undefined))
    assert.isTrue(other({ validator: '"b"' }, etag, undefined))
    assert.isFalse(other({}, etag, undefined), "the first validator that is seen")
    assert.isTrue(other({ validator: '"a"' }, {}, undefined), "a range has the ETag of its file")
    assert.isFalse(other({ validator: "yesterday" }, {}, undefined), "and need not repeat a time")
    assert.isFalse(other({}, {}, undefined))
    assert.isTrue(other({ total: 10 }, { "content-encoding": "gzip" }, 10))
  })
})
