import { assert, describe, it } from "@effect/vitest"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as fc from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Eval from "../src/Eval.ts"
import * as statistics from "../src/internal/evaluation/statistics.ts"
import * as runs from "./utils/runs.ts"
import * as sampler from "./utils/sampler.ts"

const decode = (tokens: ArrayLike<number>) => Array.from(tokens).join(" ")

/** Problem `i` is right in sample `j` if `j < i`. */
const problems: ReadonlyArray<Eval.Problem<string>> = [0, 1, 2, 4].map((i) => ({
  prompt: [i],
  input: String(i),
  target: `below ${i}`,
  grade: ({ text }) => (Number(text) < i ? 1 : 0)
}))
const counting = () => sampler.make((_, j) => [j])

const options = {
  name: "below",
  model: "first",
  sampler: counting(),
  problems: Stream.fromIterable(problems),
  decode,
  samples: 4,
  k: [1, 2, 4]
} satisfies Eval.Options<string>

describe("Eval", () => {
  it.effect("scores problems, and says how sure it is", () =>
    Effect.gen(function* () {
      const result = yield* Eval.run(options)
      assert.closeTo(result.accuracy, (0 + 0.25 + 0.5 + 1) / 4, 1e-12)
      assert.closeTo(result.passAt[1]!, result.accuracy, 1e-12)
      assert.closeTo(result.passAt[2]!, (0 + 0.5 + (1 - 1 / 6) + 1) / 4, 1e-12)
      assert.strictEqual(result.passAt[4], 0.75)
      assert.isBelow(result.interval[0], result.accuracy)
      assert.isAbove(result.interval[1], result.accuracy)
      const error = yield* Effect.flip(Eval.run({ ...options, k: [5] }))
      assert.isTrue(error instanceof Eval.InvalidEval)
      assert.include(error.message, "k has 5")
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("reuses what a killed run had, but not what failed, nor what another model said", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = `${yield* fs.makeTempDirectoryScoped()}/below.jsonl`
      let isBroken = true
      const failing = Stream.map(options.problems, (problem): Eval.Problem<string> =>
        problem.input === "2"
          ? { ...problem, grade: (answer) => (isBroken ? Effect.fail("no grader") : problem.grade(answer)) }
          : problem
      )
      const first = yield* Eval.run({ ...options, problems: failing, file })
      assert.deepStrictEqual([first.errors, first.reused], [1, 0])
      assert.include(first.outcomes[2]!.error, "no grader")
      // the process died while it wrote
      yield* fs.writeFileString(file, `{"hash": "cut`, { flag: "a" })
      isBroken = false
      const speaker = counting()
      const second = yield* Eval.run({ ...options, sampler: speaker, problems: failing, file })
      assert.deepStrictEqual([second.errors, second.reused, speaker.asked.length], [0, 3, 1])
      assert.deepStrictEqual(second.accuracy, (yield* Eval.run(options)).accuracy)
      const other = yield* Eval.run({ ...options, model: "second", problems: failing, file })
      assert.strictEqual(other.reused, 0)
      assert.lengthOf(yield* runs.jsonLines(file), 4 + 1 + 4)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.effect("gives up a problem whose grader never ends, and goes on", () =>
    Effect.gen(function* () {
      const stuck: Eval.Problem<string> = { ...problems[3]!, grade: () => Effect.uninterruptible(Effect.never) }
      const fiber = yield* Effect.fork(
        Eval.run({ ...options, problems: Stream.make(stuck, problems[3]!), timeout: "10 seconds", concurrency: 1 })
      )
      yield* TestClock.adjust("10 seconds")
      const { accuracy, errors, outcomes } = yield* Fiber.join(fiber)
      assert.deepStrictEqual([accuracy, errors], [0.5, 1])
      assert.include(outcomes[0]!.error, "took longer than its time")
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.effect("compares two models problem by problem", () =>
    Effect.gen(function* () {
      const worse = yield* Eval.run({ ...options, sampler: sampler.make(() => [9]) })
      const better = yield* Eval.run({ ...options, model: "second" })
      const { better: wins, difference, p, problems, worse: losses } = Eval.compare(worse, better)
      assert.deepStrictEqual([problems, wins, losses, difference], [4, 3, 0, 0.4375])
      assert.closeTo(p, 0.25, 1e-12)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it("has the tail of the binomial, and Wilson's interval of 8 in 10", () => {
    assert.closeTo(statistics.signTest(3, 9), (2 * (1 + 12 + 66 + 220)) / 4096, 1e-12)
    const [low, high] = statistics.interval([1, 1, 1, 1, 1, 1, 1, 1, 0, 0])
    assert.closeTo(low, 0.4901625, 1e-6)
    assert.closeTo(high, 0.9433178, 1e-6)
  })

  it.prop(
    "estimates pass@k as often as all draws of k of the samples hit a right one",
    [fc.integer({ min: 1, max: 8 }), fc.nat(8), fc.integer({ min: 1, max: 8 })],
    ([n, right, draws]) => {
      const [c, k] = [Math.min(right, n), Math.min(draws, n)]
      let hits = 0
      let all = 0
      for (let set = 0; set < 2 ** n; set++) {
        const chosen = Array.from({ length: n }, (_, i) => (set >> i) & 1)
        if (chosen.reduce((sum, bit) => sum + bit, 0) !== k) continue
        all++
        if (chosen.slice(0, c).includes(1)) hits++
      }
      assert.closeTo(statistics.passAt(n, c, k), hits / all, 1e-12)
    }
  )

  it.scoped("writes a page to read, in which texts from outside are nothing but texts", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = `${yield* fs.makeTempDirectoryScoped()}/page.html`
      const evil = `<script>alert("1")</script>\u001b[31m\u202e</pre>`
      const result = yield* Eval.run({
        ...options,
        model: evil,
        decode: () => evil,
        problems: Stream.make({ ...problems[0]!, id: evil, input: evil, target: evil, grade: () => 1 }, problems[1]!)
      })
      yield* Eval.writePage(result, path)
      const page = yield* fs.readFileString(path)
      assert.notInclude(page, "<script")
      for (const hidden of ["\u001b", "\u202e"]) assert.notInclude(page, hidden)
      assert.include(page, "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;")
      assert.include(page, "default-src 'none'")
      assert.strictEqual(page.split("<details>").length - 1, 2)
      const other = yield* Eval.run({ ...options, model: "second", problems: Stream.make(problems[1]!) })
      yield* Eval.writePage(result, path, { other, limit: 1 })
      const both = yield* fs.readFileString(path)
      assert.include(both, "1 more are not on this page")
      // the one that both have
      assert.include(both, `<p>${other.outcomes[0]!.id}</p>`)
      assert.include(both, "p of the sign test")
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("writes a log in the form of inspect-ai", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = process.env["INSPECT_LOG"] ?? `${yield* fs.makeTempDirectoryScoped()}/log.json`
      yield* Eval.writeInspectLog(yield* Eval.run(options), path)
      const log = JSON.parse(yield* fs.readFileString(path))
      assert.strictEqual(log.results.scores[0].metrics.accuracy.value, 0.4375)
      assert.deepStrictEqual(
        log.samples.slice(4, 8).map(({ epoch, scores }: (typeof log.samples)[number]) => [epoch, scores.grade.value]),
        [
          [1, 1],
          [2, 0],
          [3, 0],
          [4, 0]
        ]
      )
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
