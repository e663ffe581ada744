import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as distribution from "../../../src/internal/generation/distribution.ts"
import * as random from "../../../src/internal/util/random.ts"

const off = { temperature: 1, topK: -1, topP: 1 }

const histogram = (
  logits: ReadonlyArray<number>,
  choice: distribution.SamplingOptions,
  draws = 20_000
): Array<number> => {
  const given = Float32Array.from(logits)
  const key = random.streamKey(1, "test")
  const counts = logits.map(() => 0)
  for (let i = 0; i < draws; i++) counts[distribution.sampleToken(given, choice, key, i).token]!++
  return counts.map((count) => count / draws)
}

const close = (actual: ReadonlyArray<number>, expected: ReadonlyArray<number>) => {
  expected.forEach((p, i) => (p === 0 ? assert.strictEqual(actual[i], 0) : assert.approximately(actual[i]!, p, 0.015)))
}

describe("draw", () => {
  // probabilities of 0.1, 0.4, 0.2, 0.3
  const logits = [0.1, 0.4, 0.2, 0.3].map(Math.log)

  it("draws by the probabilities", () => {
    close(histogram(logits, off), [0.1, 0.4, 0.2, 0.3])
  })

  it("sharpens them by the temperature", () => {
    const squares = [0.01, 0.16, 0.04, 0.09].map((p) => p / 0.3)
    close(histogram(logits, { ...off, temperature: 0.5 }), squares)
    close(histogram(logits, { ...off, temperature: 0 }), [0, 1, 0, 0])
  })

  it("keeps the likeliest topK, and of these the likeliest until topP is reached", () => {
    close(histogram(logits, { ...off, topK: 2 }), [0, 4 / 7, 0, 3 / 7])
    close(histogram(logits, { ...off, topK: 0 }), [0.1, 0.4, 0.2, 0.3])
    close(histogram(logits, { ...off, topK: 9 }), [0.1, 0.4, 0.2, 0.3])
    close(histogram(logits, { ...off, topP: 0.69 }), [0, 4 / 7, 0, 3 / 7])
    close(histogram(logits, { ...off, topP: 0.71 }), [0, 4 / 9, 2 / 9, 3 / 9])
    // of 0.4, 0.3, 0.2 the first two have 7/9
    close(histogram(logits, { ...off, topK: 3, topP: 0.75 }), [0, 4 / 7, 0, 3 / 7])
    close(histogram(logits, { ...off, topK: 3, topP: 0.8 }), [0, 4 / 9, 2 / 9, 3 / 9])
  })

  it.prop(
    "takes a token that has a probability, whatever the logits",
    [
      FastCheck.array(FastCheck.float({ min: -80, max: 80, noNaN: true }), { minLength: 1, maxLength: 50 }),
      FastCheck.record({
        temperature: FastCheck.constantFrom(0, 0.01, 1, 10),
        topK: FastCheck.integer({ min: -1, max: 60 }),
        topP: FastCheck.constantFrom(1e-9, 0.5, 1)
      }),
      FastCheck.nat()
    ],
    ([logits, choice, index]) => {
      const logprobs = distribution.logprobs(Float32Array.from(logits))
      const { logprob, token } = distribution.sampleToken(
        Float32Array.from(logits),
        choice,
        random.streamKey(index, "x"),
        index
      )
      assert.isTrue(token >= 0 && token < logits.length)
      assert.approximately(logprob, logprobs[token]!, 1e-12)
      // values that differ by less than rounding may change places
      const isOnly = choice.temperature === 0 || choice.topP < 1e-3
      const kept = isOnly ? 1 : choice.topK >= 1 ? Math.min(choice.topK, logits.length) : logits.length
      assert.isAtLeast(logprob, distribution.topTokens(logprobs, kept)[kept - 1]![1] - 1e-9)
      assert.approximately(
        logprobs.reduce((sum, value) => sum + Math.exp(value), 0),
        1,
        1e-9
      )
    }
  )
})

describe("a model that has come apart", () => {
  it("gives a token that has no logprob", () => {
    const drawn = distribution.sampleToken(
      Float32Array.of(1, Number.NaN, 2),
      { ...off, topK: 2 },
      random.streamKey(0, "x"),
      0
    )
    assert.isTrue(drawn.token >= 0 && drawn.token < 3)
    assert.isNaN(drawn.logprob)
  })
})

describe("random numbers", () => {
  it("are uniform, and differ by seed, stream and place", () => {
    const bins = Array.from({ length: 16 }, () => 0)
    for (let seed = 0; seed < 200; seed++) {
      const key = random.streamKey(seed, "a")
      for (let i = 0; i < 500; i++) bins[Math.floor(random.uniform(key, i) * 16)]!++
    }
    // 6,250 are expected in each, give or take 77
    for (const count of bins) assert.approximately(count, 6250, 400)
    const values = new Set<number>()
    for (const seed of [0, 1, -1, 2 ** 32, 2 ** 53 - 1]) {
      for (const stream of ["a", "b", 1]) {
        for (let i = 0; i < 100; i++) values.add(random.uniform(random.streamKey(seed, stream), i))
      }
    }
    assert.strictEqual(values.size, 1500)
  })
})
