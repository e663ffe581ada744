import { assert, describe, it } from "@effect/vitest"
import * as Kl from "../src/Kl.ts"

describe("Kl", () => {
  it("estimates over sampled tokens alone", () => {
    const sampled = [0, -1, -2, -0.5]
    const other = [9, -1.5, -1.75, -0.5]
    const mask = [0, 1, 1, 1]
    const { entropy, k1, k2, k3, max, tokens } = Kl.estimate([{ sampled, other, mask }])
    assert.strictEqual(tokens, 3)
    assert.closeTo(k1, (0.5 - 0.25) / 3, 1e-12)
    assert.closeTo(k2, (0.125 + 0.03125) / 3, 1e-12)
    assert.closeTo(k3, (Math.exp(-0.5) - 1 + 0.5 + (Math.exp(0.25) - 1 - 0.25)) / 3, 1e-12)
    assert.closeTo(entropy, 3.5 / 3, 1e-12)
    assert.strictEqual(max, 0.5)
    assert.strictEqual(Kl.estimate([]).k1, 0)
    assert.throws(() => Kl.estimate([{ sampled, other: [1], mask }]), "pair 0 has 4, 1 and 4 positions")
  })

  it("finds the divergence of two distributions, from samples of the first", () => {
    const q = [0.7, 0.2, 0.1]
    const p = [0.5, 0.3, 0.2]
    const exact = q.reduce((sum, value, i) => sum + value * Math.log(value / p[i]!), 0)
    // every outcome as often as it is sampled
    const outcomes = q.flatMap((value, i) => Array.from({ length: Math.round(value * 10) }, () => i))
    const { k1, k3 } = Kl.estimate([
      {
        sampled: outcomes.map((i) => Math.log(q[i]!)),
        other: outcomes.map((i) => Math.log(p[i]!)),
        mask: outcomes.map(() => 1)
      }
    ])
    assert.closeTo(k1, exact, 1e-12)
    assert.closeTo(k3, exact, 1e-12)
  })
})
