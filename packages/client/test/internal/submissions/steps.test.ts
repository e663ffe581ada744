import { assert, describe, it } from "@effect/vitest"
import { type Refusal, type Role, Steps } from "../../../src/internal/submissions/steps.ts"

const cause = new Error("no")
const failed = (seqId: number, operation = "forwardBackward") => ({ operation, seqId, cause })

/** What an operation that is called now may do: it is sent, or the tag, the reason and the number of what it is told. */
const admit = (steps: Steps, role: Role, era = steps.era): ReadonlyArray<unknown> => {
  const notSent = steps.admit({ method: "m", role, era })
  if (notSent === undefined) return ["sent"]
  const { error } = notSent
  assert.strictEqual(error.method, "m")
  return error._tag === "StepRefused" ? [error.reason, error.seqId, error.operation] : [error._tag, error.seqId]
}

const roles = ["reads", "gradient", "step", "load"] as const

/** The same for each role, each on its own. */
const admitEach = (make: () => Steps, era?: number) =>
  Object.fromEntries(roles.map((role) => [role, admit(make(), role, era)[0]]))

describe("a step", () => {
  it("whose pass was refused is not sent to its end, unless it was called knowing that", () => {
    const refused = () => {
      const steps = new Steps()
      assert.isDefined(steps.noteFailed("gradient", failed(1), false))
      return steps
    }
    const all = { reads: "sent", gradient: "NoGradient", step: "NoGradient", load: "sent" }
    assert.deepStrictEqual(admitEach(refused), all)
    const steps = refused()
    assert.deepStrictEqual(admit(steps, "gradient"), ["NoGradient", 1, "forwardBackward"])
    // its update ends the step
    assert.deepStrictEqual(admit(steps, "step"), ["NoGradient", 1, "forwardBackward"])
    assert.deepStrictEqual(admit(steps, "step"), ["sent"])
    // once the program has seen it, what is called is a new step; what was called before is not
    const seen = () => {
      const steps = new Steps()
      steps.noteSeen(steps.noteFailed("gradient", failed(1), false)!)
      return steps
    }
    assert.deepStrictEqual(admitEach(seen), { reads: "sent", gradient: "sent", step: "sent", load: "sent" })
    assert.deepStrictEqual(admitEach(seen, 0), all)
    const next = seen()
    assert.deepStrictEqual(admit(next, "gradient"), ["sent"])
    assert.deepStrictEqual(admit(next, "gradient", 0), ["sent"])
    // one that is refused behind does not change that
    const both = seen()
    assert.deepStrictEqual(admit(both, "gradient", 0), ["NoGradient", 1, "forwardBackward"])
    assert.deepStrictEqual(admit(both, "gradient"), ["sent"])
    const twice = new Steps()
    const refusal = twice.noteFailed("gradient", failed(1), false)!
    twice.noteSeen(refusal)
    twice.noteSeen(refusal)
    assert.deepStrictEqual([twice.era, refusal.seenIn], [1, 1])
  })

  it("of which a part was accepted leaves no gradient to trust", () => {
    const parts: ReadonlyArray<(steps: Steps) => Refusal | undefined> = [
      (steps) => steps.noteFailed("gradient", failed(1), true),
      (steps) => {
        steps.noteAccepted("gradient")
        return steps.noteFailed("gradient", failed(1), false)
      }
    ]
    for (const make of parts) {
      const partial = () => {
        const steps = new Steps()
        assert.isUndefined(make(steps))
        return steps
      }
      const all = { reads: "sent", gradient: "PartialGradient", step: "PartialGradient", load: "sent" }
      assert.deepStrictEqual(admitEach(partial), all)
      const steps = partial()
      // the first is named, however often
      steps.noteFailed("gradient", failed(7), true)
      steps.noteAccepted("load")
      assert.deepStrictEqual(admit(steps, "step"), ["PartialGradient", 1])
      assert.deepStrictEqual(admit(steps, "step"), ["PartialGradient", 1])
    }
    // reads add nothing, and a step clears what there was
    for (const role of ["reads", "step", "load"] as const) {
      const steps = new Steps()
      if (role !== "reads") steps.noteAccepted("gradient")
      steps.noteAccepted(role)
      assert.strictEqual(steps.noteFailed("gradient", failed(1), false)?.reason, "NoGradient", role)
    }
    const kept = new Steps()
    kept.noteAccepted("gradient")
    kept.noteAccepted("reads")
    assert.isUndefined(kept.noteFailed("gradient", failed(1), false))
  })

  it("whose update was refused keeps its gradient, which a later update takes and no pass adds to", () => {
    const waits = () => {
      const steps = new Steps()
      steps.noteAccepted("gradient")
      const refusal = steps.noteFailed("step", failed(2, "optimStep"), false)!
      assert.strictEqual(refusal.reason, "GradientWaits")
      return { steps, refusal }
    }
    const all = { reads: "sent", gradient: "GradientWaits", step: "GradientWaits", load: "sent" }
    assert.deepStrictEqual(
      admitEach(() => waits().steps),
      all
    )
    const seen = () => {
      const { refusal, steps } = waits()
      steps.noteSeen(refusal)
      return steps
    }
    assert.deepStrictEqual(admitEach(seen), { ...all, step: "sent" })
    assert.deepStrictEqual(admitEach(seen, 0), all)
    // an update behind a pass that was not sent lacks that pass: the program must see it once more
    const behind = seen()
    assert.deepStrictEqual(admit(behind, "gradient"), ["GradientWaits", 2, "optimStep"])
    assert.deepStrictEqual(admit(behind, "step"), ["GradientWaits", 2, "optimStep"])
    const updates = seen()
    assert.deepStrictEqual(admit(updates, "step", 0), ["GradientWaits", 2, "optimStep"])
    assert.deepStrictEqual(admit(updates, "step"), ["sent"])
    // what is applied or loaded ends it; a pass does not
    for (const [role, expected] of [
      ["step", "sent"],
      ["load", "sent"],
      ["gradient", "GradientWaits"],
      ["reads", "GradientWaits"]
    ] as const) {
      const steps = seen()
      steps.noteAccepted(role)
      assert.strictEqual(admit(steps, "gradient")[0], expected, role)
    }
    // without a gradient there is nothing to keep
    assert.isUndefined(new Steps().noteFailed("step", failed(1), false))
  })

  it("behind a load that was refused is not sent, whatever it is, until the program has seen that", () => {
    const notLoaded = () => {
      const steps = new Steps()
      const refusal = steps.noteFailed("load", failed(3, "loadState"), false)!
      return { steps, refusal }
    }
    const all = { reads: "NotLoaded", gradient: "NotLoaded", step: "NotLoaded", load: "NotLoaded" }
    assert.deepStrictEqual(
      admitEach(() => notLoaded().steps),
      all
    )
    const { refusal, steps } = notLoaded()
    assert.deepStrictEqual(admit(steps, "step"), ["NotLoaded", 3, "loadState"])
    assert.deepStrictEqual(admit(steps, "step"), ["NotLoaded", 3, "loadState"])
    steps.noteSeen(refusal)
    assert.deepStrictEqual(admit(steps, "reads", 0), ["NotLoaded", 3, "loadState"])
    assert.deepStrictEqual(admit(steps, "reads"), ["sent"])
    // it has ended for all
    assert.deepStrictEqual(admit(steps, "reads", 0), ["sent"])
    // what is applied does not end it
    const other = notLoaded().steps
    other.noteAccepted("step")
    assert.deepStrictEqual(admit(other, "reads"), ["NotLoaded", 3, "loadState"])
    assert.isUndefined(new Steps().noteFailed("reads", failed(1), true))
  })
})
