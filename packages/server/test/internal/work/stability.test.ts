import * as ModelInput from "@effect-tinker/api/ModelInput"
import { assert, describe, it } from "@effect/vitest"
import { StabilityRecords } from "../../../src/internal/work/stability.ts"

const sequence = (length: number) => ({
  stop_reason: "length" as const,
  tokens: new Int32Array(length),
  logprobs: new Float32Array(length)
})

describe("The records for stable_reinforce", () => {
  it("hold a bounded number of bytes, and drop what was not used for the longest time", () => {
    // 4 bytes a token, a logprob and a token of the prompt: 36 bytes a sequence
    const records = new StabilityRecords(120)
    const prompt = ModelInput.fromTokens([5])
    const add = (id: string) => records.add("a", [id], prompt, [sequence(4)], 0)
    const kept = () => ["1", "2", "3", "4", "5"].filter((id) => records.get("a", id, 0) !== undefined)
    for (const id of ["1", "2", "3"]) add(id)
    assert.deepStrictEqual(kept(), ["1", "2", "3"])
    records.touch("1", 0)
    add("4")
    assert.deepStrictEqual(kept(), ["1", "3", "4"])
    records.add("a", ["5"], prompt, [sequence(100)], 0)
    assert.deepStrictEqual(kept(), [])
    add("5")
    assert.deepStrictEqual(kept(), ["5"])
  })

  it("belong to a session, and end with it", () => {
    const records = new StabilityRecords()
    records.add("a", ["1"], ModelInput.fromTokens([5]), [sequence(1)], 0)
    records.add("b", ["2"], ModelInput.fromTokens([5]), [sequence(1)], 0)
    assert.isUndefined(records.get("b", "1", 0))
    assert.isDefined(records.get("a", "1", 0))
    records.release("a")
    assert.isUndefined(records.get("a", "1", 0))
    assert.isDefined(records.get("b", "2", 0))
  })
})
