import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as distribution from "../../../src/internal/generation/distribution.ts"
import * as random from "../../../src/internal/util/random.ts"

/** Options that keep the distribution as it is. */
const unchanged = { temperature: 1, topK: -1, topP: 1 }

/** The frequencies of the tokens in many samples. */
const frequencies = (
  logits: ReadonlyArray<number>,
  options: distribution.SamplingOptions,
  count = 20_000
): Array<number> => {
  const given = Float32Array.from(logits)
  const key = random.streamKey(1, "test")
  const counts = logits.map(() => 0)
  for (let i = 0; i < count; i++) counts[distribution.sampleToken(given, options, key, i).token]!++
  return counts.map((tokens) => tokens / count)
}

const assertFrequencies = (actual: ReadonlyArray<number>, expected: ReadonlyArray<number>) => {
  expected.forEach((p, i) => (p === 0 ? assert.strictEqual(actual[i], 0) : assert.approximately(actual[i]!, p, 0.015)))
}

describe("sampleToken", () => {
  // probabilities of 0.1, 0.4, 0.2, 0.3
  const logits = [0.1, 0.4, 0.2, 0.3].map(Math.log)

  it("samples tokens by their probabilities", () => {
    assertFrequencies(frequencies(logits, unchanged), [0.1, 0.4, 0.2, 0.3])
  })

  it("sharpens the distribution at temperatures below 1, and takes the most likely token at 0", () => {
    const squares = [0.01, 0.16, 0.04, 0.09].map((p) => p / 0.3)
    assertFrequencies(frequencies(logits, { ...unchanged, temperature: 0.5 }), squares)
    assertFrequencies(frequencies(logits, { ...unchanged, temperature: 0 }), [0, 1, 0, 0])
  })

  it("samples among the topK most likely tokens, and among those whose probabilities reach topP", () => {
    assertFrequencies(frequencies(logits, { ...unchanged, topK: 2 }), [0, 4 / 7, 0, 3 / 7])
    assertFrequencies(frequencies(logits, { ...unchanged, topK: 0 }), [0.1, 0.4, 0.2, 0.3])
    assertFrequencies(frequencies(logits, { ...unchanged, topK: 9 }), [0.1, 0.4, 0.2, 0.3])
    assertFrequencies(frequencies(logits, { ...unchanged, topP: 0.69 }), [0, 4 / 7, 0, 3 / 7])
    assertFrequencies(frequencies(logits, { ...unchanged, topP: 0.71 }), [0, 4 / 9, 2 / 9, 3 / 9])
    // of 0.4, 0.3 and 0.2, the first two have a share of 7/9
    assertFrequencies(frequencies(logits, { ...unchanged, topK: 3, topP: 0.75 }), [0, 4 / 7, 0, 3 / 7])
    assertFrequencies(frequencies(logits, { ...unchanged, topK: 3, topP: 0.8 }), [0, 4 / 9, 2 / 9, 3 / 9])
  })

  it.prop(
    "returns a token that the options allow, and its logprob, for any logits",
    [
      FastCheck.array(FastCheck.float({ min: -80, max: 80, noNaN: true }), { minLength: 1, maxLength: 50 }),
      FastCheck.record({
        temperature: FastCheck.constantFrom(0, 0.01, 1, 10),
        topK: FastCheck.integer({ min: -1, max: 60 }),
        topP: FastCheck.constantFrom(1e-9, 0.5, 1)
      }),
      FastCheck.nat()
    ],
    ([logits, options, index]) => {
      const logprobs = distribution.logprobs(Float32Array.from(logits))
      const { logprob, token } = distribution.sampleToken(
        Float32Array.from(logits),
        options,
        random.streamKey(index, "x"),
        index
      )
      assert.isTrue(token >= 0 && token < logits.length)
      assert.approximately(logprob, logprobs[token]!, 1e-12)
      // tokens whose logits differ by less than rounding may be swapped
      const isGreedy = options.temperature === 0 || options.topP < 1e-3
      const kept = isGreedy ? 1 : options.topK >= 1 ? Math.min(options.topK, logits.length) : logits.length
      assert.isAtLeast(logprob, distribution.topTokens(logprobs, kept)[kept - 1]![1] - 1e-9)
      assert.approximately(
        logprobs.reduce((sum, value) => sum + Math.exp(value), 0),
        1,
        1e-9
      )
    }
  )

  it("returns a valid token with a logprob of NaN if a logit is NaN", () => {
    const sampled = distribution.sampleToken(
      Float32Array.of(1, Number.NaN, 2),
      { ...unchanged, topK: 2 },
      random.streamKey(0, "x"),
      0
    )
    assert.isTrue(sampled.token >= 0 && sampled.token < 3)
    assert.isNaN(sampled.logprob)
  })
})
