import * as Future from "@effect-tinker/api/Future"
import * as Sampling from "@effect-tinker/api/Sampling"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Either, Schema } from "effect"
import * as FastCheck from "fast-check"
import * as shortCodecs from "../../../src/internal/codec/fastJson.ts"

const parse = (text: string | undefined): unknown => (text === undefined ? undefined : JSON.parse(text))

describe("the fast JSON codecs", () => {
  it("write a sample request as its schema does, or return undefined", () => {
    const encode = Schema.encodeSync(Sampling.SampleRequest)
    let written = 0
    FastCheck.assert(
      FastCheck.property(Arbitrary.make(Sampling.SampleRequest), (request) => {
        const text = shortCodecs.encodeSampleRequest(request)
        if (text === undefined) return
        written++
        assert.deepStrictEqual(parse(text), JSON.parse(JSON.stringify(encode(request))))
      }),
      { numRuns: 500 }
    )
    assert.isAbove(written, 20)
  })

  it("write a poll as its schema does", () => {
    const encode = Schema.encodeSync(Future.RetrieveFutureRequest)
    FastCheck.assert(
      FastCheck.property(Arbitrary.make(Future.RetrieveFutureRequest), (request) =>
        assert.deepStrictEqual(parse(shortCodecs.encodeRetrieveFuture(request)), encode(request))
      )
    )
  })

  it("read an envelope as its schema does, or return undefined", () => {
    const decode = Schema.decodeUnknownEither(Schema.parseJson(Future.FutureEnvelope))
    const field = FastCheck.option(
      FastCheck.oneof(FastCheck.string(), FastCheck.array(FastCheck.string()), FastCheck.jsonValue()),
      { nil: undefined }
    )
    const body = FastCheck.oneof(
      FastCheck.record({ request_id: FastCheck.string(), model_id: field, sample_sequence_ids: field, more: field }),
      FastCheck.jsonValue()
    )
    let read = 0
    FastCheck.assert(
      FastCheck.property(body, FastCheck.boolean(), (value, cut) => {
        const text = JSON.stringify(value)
        const given = cut ? text.slice(0, -1) : text
        const envelope = shortCodecs.decodeEnvelope(given)
        if (envelope === undefined) return
        read++
        assert.deepStrictEqual(Either.getOrThrow(decode(given)), envelope)
      }),
      { numRuns: 1000 }
    )
    assert.isAbove(read, 20)
  })
})
