import { assert, describe, it } from "@effect/vitest"
import { StepTraces } from "../../../src/internal/submissions/stepTraces.ts"

describe("what is followed of steps", () => {
  it("tells of a step that was applied without a pass, once, whichever ends first", () => {
    const traces = new StepTraces()
    const [first, second, step, next] = [
      traces.begin("gradient", undefined),
      traces.begin("gradient", undefined),
      traces.begin("step", undefined),
      traces.begin("step", undefined)
    ]
    assert.isUndefined(traces.end(first, "pass 1", true))
    assert.strictEqual(traces.end(step, "step", false), "pass 1")
    assert.isUndefined(traces.end(second, "pass 2", true))
    assert.isUndefined(traces.end(next, "next", false))
    // the step ends before the pass
    const [pass, update] = [traces.begin("gradient", undefined), traces.begin("step", undefined)]
    assert.isUndefined(traces.end(update, "step", false))
    assert.strictEqual(traces.end(pass, "late", true), "late")
  })

  it("tells nothing of steps that failed, of what only reads, and of what was called knowing of the failure", () => {
    const traces = new StepTraces()
    const [pass, step] = [traces.begin("gradient", undefined), traces.begin("step", undefined)]
    assert.isUndefined(traces.end(pass, "pass", true))
    assert.isUndefined(traces.end(step, "step", true))
    const [read, after] = [traces.begin("reads", undefined), traces.begin("step", undefined)]
    assert.isUndefined(traces.end(read, "read", true))
    assert.isUndefined(traces.end(after, "step", false))
    const seen = traces.begin("gradient", undefined)
    traces.end(seen, "pass", true)
    traces.noteSeen(seen)
    assert.isUndefined(traces.end(traces.begin("step", undefined), "step", false))
    // one of an earlier step does not end the current one
    const current = traces.begin("gradient", undefined)
    traces.noteSeen(seen)
    traces.end(current, "pass", true)
    assert.strictEqual(traces.end(traces.begin("step", undefined), "step", false), "pass")
    // a load ends a step too
    traces.end(traces.begin("gradient", undefined), "pass", true)
    traces.begin("load", undefined)
    assert.isUndefined(traces.end(traces.begin("step", undefined), "step", false))
  })

  it("counts how often a batch is given again after its step failed", () => {
    const traces = new StepTraces()
    const [batch, other] = [{}, {}]
    const begin = (given: object | undefined, role: "gradient" | "reads" = "gradient") => traces.begin(role, given)
    const first = begin(batch)
    assert.isUndefined(first.repeated)
    // in the same step, before anything failed
    assert.isUndefined(begin(batch).repeated)
    traces.end(first, "pass", true)
    assert.strictEqual(begin(batch).repeated, 3)
    assert.isUndefined(begin(other).repeated)
    assert.isUndefined(begin(batch, "reads").repeated)
    assert.isUndefined(begin(undefined).repeated)
    // an update that failed counts as well, and a step that did not fail does not
    traces.begin("step", undefined)
    const second = begin(other)
    const update = traces.begin("step", undefined)
    traces.end(second, "pass", false)
    traces.end(update, "step", false)
    assert.isUndefined(begin(other).repeated)
    traces.end(traces.begin("step", undefined), "step", true)
    assert.strictEqual(begin(other).repeated, 4)
  })
})
