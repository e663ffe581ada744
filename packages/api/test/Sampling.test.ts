import { assert, describe, it } from "@effect/vitest"
import * as Sampling from "@effect-tinker/api/Sampling"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"

const sequence = { stop_reason: "stop", tokens: Int32Array.of(1, 2) } as const

describe("Sampling", () => {
  it("gives sequences with logprobs their type, and says what others lack", () => {
    const scored = { ...sequence, logprobs: Float32Array.of(-1, -2) }
    assert.deepStrictEqual(Sampling.withLogprobs([scored]), Either.right([scored]))
    const messages = [
      sequence,
      { ...sequence, logprobs: Float32Array.of(-1) },
      { ...sequence, logprobs: Float32Array.of(-1, Number.NaN) }
    ].map((bad) => Either.flip(Sampling.withLogprobs([scored, bad])).pipe(Either.getOrThrow).message)
    assert.match(messages[0]!, /^sequences\[1\]\.logprobs is missing: /)
    assert.match(messages[1]!, /^sequences\[1\]\.logprobs has the length 1, its tokens 2: /)
    assert.match(messages[2]!, /^sequences\[1\]\.logprobs\[1\] is not a finite number: /)
  })

  it("have a partial form, in which what is absent stays absent", () => {
    const read = Schema.decodeUnknownEither(Sampling.PartialSamplingParams)
    assert.deepStrictEqual(read({ max_tokens: 4 }), Either.right({ max_tokens: 4 }))
    assert.isTrue(Either.isLeft(read({ top_p: 2 })))
  })
})
