import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Training from "@effect-tinker/api/Training"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import { Breakage } from "../../../src/internal/submissions/breakage.ts"
import { SeqIds } from "../../../src/internal/submissions/seqIds.ts"

describe("the sequence numbers of a client", () => {
  it("that were refused are named by later requests until one of those is accepted", () => {
    const seqIds = new SeqIds(true)
    for (const seqId of [2, 5]) seqIds.noteRefused(seqId)
    assert.deepStrictEqual(
      [1, 2, 3, 5, 6].map((seqId) => [...seqIds.refusedBefore(seqId)]),
      [[], [], [2], [2], [2, 5]]
    )
    seqIds.noteAccepted(3, [2])
    assert.deepStrictEqual(seqIds.refusedBefore(9), [5])
    seqIds.noteAccepted(4, [])
    assert.deepStrictEqual(seqIds.refusedBefore(9), [5])
    assert.strictEqual(seqIds.lastAccepted, 4)
    seqIds.noteAccepted(1, [])
    assert.strictEqual(seqIds.lastAccepted, 4)
    assert.deepStrictEqual(SeqIds.headersFor([]), {})
    assert.deepStrictEqual(SeqIds.headersFor([2, 5]), { [Training.refusedSeqIdsHeader]: "2,5" })
  })

  it("may be named from a number on only, which moves with the requests that are still to come", () => {
    const seqIds = new SeqIds(true)
    seqIds.noteRefused(2, 4)
    assert.deepStrictEqual(
      [3, 4].map((seqId) => seqIds.refusedBefore(seqId).length),
      [0, 1]
    )
    seqIds.noteRefused(2, 5)
    assert.deepStrictEqual([...seqIds.refusedBefore(9)], [2])
    assert.deepStrictEqual(seqIds.refusedBefore(4), [])
    seqIds.noteRefused(2, 4)
    seqIds.moveLater(3)
    assert.deepStrictEqual(
      [6, 7].map((seqId) => seqIds.refusedBefore(seqId).length),
      [0, 1]
    )
  })

  it("are bounded in what they name, the latest first, and name nothing where the service may not be asked", () => {
    const seqIds = new SeqIds(true)
    for (let seqId = 1; seqId <= Training.maxRefusedSeqIds + 2; seqId++) seqIds.noteRefused(seqId)
    const named = seqIds.refusedBefore(1e6)
    assert.deepStrictEqual([named.length, named[0]], [Training.maxRefusedSeqIds, 3])
    const silent = new SeqIds(false)
    silent.noteRefused(1)
    assert.isEmpty(silent.refusedBefore(9))
  })
})

describe("what broke a client", () => {
  const timeout = new TinkerError.TransportError({ method: "x", url: "http://a.test", reason: "Timeout" })

  it("is the first request in doubt, and the numbers in doubt are those that are not settled", () => {
    const breakage = new Breakage()
    assert.deepStrictEqual([breakage.isBroken, breakage.allowsReads, breakage.doubtful], [false, true, undefined])
    breakage.addDoubtful(9)
    assert.isFalse(breakage.isBroken)
    breakage.record("optimStep", 7, Cause.fail(timeout))
    breakage.record("forward", 8, Cause.fail(timeout))
    assert.deepStrictEqual([breakage.isBroken, breakage.allowsReads, breakage.doubtful], [true, true, 7])
    assert.strictEqual(breakage.description, "optimStep (seq_id 7)")
    const error = breakage.errorFor("saveState")
    assert.deepInclude(error, { _tag: "ClientBroken", method: "saveState", operation: "optimStep", seqId: 7 })
    assert.strictEqual((error as TinkerError.ClientBroken).cause, timeout)
    for (const seqId of [7, 8, 9]) breakage.settle(seqId)
    assert.deepStrictEqual([breakage.isBroken, breakage.doubtful], [true, undefined])
  })

  it("allows no reads if it is a defect, and is named where the model was lost", () => {
    const died = new Breakage()
    died.record("optimStep", 1, Cause.fail(timeout))
    died.record("optimStep", 2, Cause.die("bug"))
    assert.isFalse(died.allowsReads)
    died.record("optimStep", 3, Cause.fail(timeout))
    assert.isFalse(died.allowsReads)
    const lost = TinkerError.fromResponse({
      method: "optimStep",
      status: 404,
      headers: {},
      body: JSON.stringify({ detail: "gone", model_lost: { model_id: "m", last_saved: null, steps_lost: 2 } }),
      now: 0
    })
    assert.strictEqual(lost._tag, "ModelLost")
    const breakage = new Breakage()
    breakage.record("optimStep", 1, Cause.fail(lost))
    assert.deepInclude(breakage.errorFor("saveState"), { _tag: "ModelLost", method: "saveState", stepsLost: 2 })
  })
})
