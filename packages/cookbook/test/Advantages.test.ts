import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import * as Advantages from "../src/Advantages.ts"

const groups = [
  [1, 0, 0, 1],
  [2, 2, 2, 2],
  [3, -1, 0.5, 0]
]

const close = (actual: Advantages.Groups, expected: Advantages.Groups) => {
  assert.deepStrictEqual(
    actual.map(({ length }) => length),
    expected.map(({ length }) => length)
  )
  actual.forEach((group, i) => group.forEach((value, at) => assert.closeTo(value, expected[i]![at]!, 1e-6)))
}

describe("Advantages", () => {
  it("centres the rewards of each group", () => {
    close(Advantages.centred(groups), [
      [0.5, -0.5, -0.5, 0.5],
      [0, 0, 0, 0],
      [2.375, -1.625, -0.125, -0.625]
    ])
  })

  it("divides by the deviation of the group, or by that of the batch", () => {
    const byGroup = Advantages.standardized()(groups)
    assert.closeTo(byGroup[0]![0]!, 0.5 / (Math.sqrt(1 / 3) + 1e-4), 1e-9)
    assert.deepStrictEqual(byGroup[1], [0, 0, 0, 0])
    const all = groups.flat()
    const mean = all.reduce((sum, value) => sum + value, 0) / all.length
    const deviation = Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (all.length - 1))
    assert.closeTo(Advantages.standardizedByBatch(0)(groups)[2]![0]!, 2.375 / deviation, 1e-9)
  })

  it("compares each reward with the mean of the others", () => {
    close(Advantages.leaveOneOut([[1, 0, 0, 1], [4]]), [[2 / 3, -2 / 3, -2 / 3, 2 / 3], [0]])
  })

  it.prop(
    "sums to 0 in each group, and is exactly 0 in a constant one",
    [fc.array(fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 1, maxLength: 6 }))],
    ([rewards]) => {
      const all = [
        Advantages.centred,
        Advantages.standardized(),
        Advantages.standardizedByBatch(),
        Advantages.leaveOneOut
      ]
      for (const estimator of all) {
        for (const [i, group] of estimator(rewards).entries()) {
          const scale = Math.max(1, ...group.map(Math.abs))
          assert.closeTo(group.reduce((sum, value) => sum + value, 0) / scale, 0, 1e-9)
          if (Advantages.isConstant(rewards[i]!)) assert.isTrue(group.every((value) => value === 0))
        }
      }
    }
  )
})
