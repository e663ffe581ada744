import { assert, describe, it } from "@effect/vitest"
import { split } from "../../../src/internal/training/examples.ts"

const record = (i: number, split?: "train" | "test") => ({
  prompt: `p${i}`,
  completion: `c${i}`,
  ...(split === undefined ? {} : { split })
})

describe("the split into training and held-out records", () => {
  it("holds out a fraction of the records, from the end", () => {
    const records = Array.from({ length: 20 }, (_, i) => record(i))
    const { test, train } = split(records, 0.1)
    assert.deepStrictEqual(test, records.slice(18))
    assert.deepStrictEqual(train, records.slice(0, 18))
  })

  it("holds out the records with split test, whatever the fraction", () => {
    const records = [record(0), record(1, "test"), record(2, "train")]
    assert.deepStrictEqual(split(records, 0.9), { train: [records[0], records[2]], test: [records[1]] })
  })

  it("holds out at most 256 records", () => {
    const records = Array.from({ length: 10_000 }, (_, i) => record(i))
    assert.strictEqual(split(records, 0.5).test.length, 256)
    assert.strictEqual(split(records, 0.5).train.length, 9744)
  })
})
