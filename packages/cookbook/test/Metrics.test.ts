import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as TestClock from "effect/TestClock"
import * as Metrics from "../src/Metrics.ts"
import { withWarnings } from "@effect-tinker/testing/Logs"

const row = (step: number, values: { readonly [name: string]: number | null } = {}): Metrics.Row => ({
  step,
  progress: (step + 1) / 4,
  num_tokens: 50,
  train_mean_nll: 4 - step,
  learning_rate: 0.5,
  "time/total": 10,
  ...values
})

const lineStart = "\r\u001b[2K"

const shown = (rows: ReadonlyArray<Metrics.Row>, output: Partial<Metrics.Output>) =>
  Effect.gen(function* () {
    const written: Array<string> = []
    yield* Effect.scoped(
      Effect.gen(function* () {
        const sink = yield* Metrics.console({ write: (text) => written.push(text), isTerminal: false, ...output })
        for (const row of rows) yield* sink(row, [])
      })
    )
    return written
  })

describe("the console", () => {
  const rows = [row(0, { "test/nll": 5 }), row(1), row(2), row(3)]

  it.effect("writes lines without a terminal", () =>
    Effect.map(shown(rows, {}), (written) =>
      assert.deepStrictEqual(written, [
        "step 1/4  loss 4.0000  test/nll 5.0000  5 tokens/s  0:30 left\n",
        "step 2/4  loss 3.0000  5 tokens/s  0:20 left\n",
        "step 3/4  loss 2.0000  5 tokens/s  0:10 left\n",
        "step 4/4  loss 1.0000  5 tokens/s  0:00 left\n"
      ])
    )
  )

  it.effect("writes about sixteen lines of a long run, and one for each evaluation", () =>
    Effect.gen(function* () {
      const long = Array.from({ length: 1600 }, (_, step): Metrics.Row => ({
        ...row(step),
        progress: (step + 1) / 1600,
        ...(step === 777 ? { "test/nll": 1 } : {})
      }))
      const written = yield* shown(long, {})
      assert.strictEqual(written.length, 18)
      assert.isTrue(written.some((line) => line.startsWith("step  778/1600") && line.includes("test/nll 1.0000")))
    })
  )

  it.effect("says where a loss is not known, and obeys no escape sequence in a name", () =>
    Effect.gen(function* () {
      const [line] = yield* shown([row(0, { train_mean_nll: null, "bad\u001b[2J/nll": 1 })], {})
      assert.include(line, "loss not known")
      assert.include(line, "bad[2J/nll 1.0000")
      assert.notInclude(line, "\u001b")
    })
  )

  it.effect("draws a table and, below it, a bar on a terminal, and ends the bar's line", () =>
    Effect.gen(function* () {
      const written = yield* shown(rows, { isTerminal: true, columns: 100 })
      assert.strictEqual(written.length, 5)
      assert.strictEqual(written[4], "\n")
      const [header, first, bar] = written[0]!.split("\n")
      assert.strictEqual(header, `${lineStart}    step       loss   test/nll`)
      assert.strictEqual(first, `${lineStart}       1     4.0000     5.0000`)
      assert.strictEqual(
        bar,
        `${lineStart}${"█".repeat(6)}${"░".repeat(18)} step 1/4  loss 4.0000  test/nll 5.0000  5 tokens/s  0:30 left`
      )
      // no second header
      assert.isTrue(written[1]!.startsWith(`${lineStart}       2     3.0000\n`))
    })
  )

  it.effect("shortens the bar before the numbers on a narrow terminal", () =>
    Effect.gen(function* () {
      const facts = "step 2/4  loss 3.0000  5 tokens/s  0:20 left"
      const barOf = (columns: number) =>
        Effect.map(shown(rows.slice(0, 2), { isTerminal: true, columns }), (written) => written[1]!.split("\n")[1])
      for (const [columns, bar] of [
        [54, `${"█".repeat(4)}${"░".repeat(4)} `],
        [46, ""],
        [0, `${"█".repeat(12)}${"░".repeat(12)} `]
      ] as const) {
        assert.strictEqual(yield* barOf(columns), `${lineStart}${bar}${facts}`, `${columns} columns`)
      }
      assert.strictEqual(yield* barOf(20), `${lineStart}${facts.slice(0, 19)}`)
    })
  )
})

describe("a window", () => {
  it.effect("records the outermost spans that end in it, those of forked fibers too", () =>
    Effect.gen(function* () {
      const window = yield* Metrics.window
      const inner = Effect.withSpan(Effect.sleep("1 second"), "inner")
      const work = Effect.gen(function* () {
        const fiber = yield* Effect.fork(Effect.withSpan(Effect.sleep("3 seconds"), "TrainingClient.saveState"))
        yield* Effect.withSpan(inner, "sample")
        yield* Effect.withSpan(inner, "sample")
        yield* Fiber.join(fiber)
      })
      const fiber = yield* Effect.fork(Effect.withSpan(window.record(work), "outside"))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      const spans = yield* window.spans
      assert.deepStrictEqual(
        spans.map(({ duration, name, wall_start }) => [name, wall_start, duration]),
        [
          ["sample", 0, 1],
          ["sample", 1, 1],
          ["save_state", 0, 3]
        ]
      )
      assert.deepStrictEqual(Metrics.withTimes({ step: 0 }, spans), {
        step: 0,
        "time/sample:total": 2,
        "time/sample:count": 2,
        "time/sample:mean": 1,
        "time/sample:max": 1,
        "time/save_state": 3
      })
    })
  )
})

describe("the metrics of a run", () => {
  it.effect("go to every sink, and set a gauge for each number", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const metrics = yield* Metrics.make([
        (row, spans) => Effect.sync(() => void seen.push(row, spans)),
        Metrics.gauges
      ])
      const spans = [{ name: "sample", duration: 2, wall_start: 1, wall_end: 3 }]
      yield* metrics.log({ step: 3, "test/nll": 0.5, note: "x" }, spans)
      assert.deepStrictEqual(seen, [{ step: 3, "test/nll": 0.5, note: "x", "time/sample": 2 }, spans])
      assert.strictEqual((yield* Metric.value(Metric.gauge("tinker.training.test/nll"))).value, 0.5)
      assert.strictEqual((yield* Metric.value(Metric.gauge("tinker.training.time/sample"))).value, 2)
    })
  )

  it.effect("end the run if a sink fails, unless it is optional, which is a warning", () =>
    Effect.gen(function* () {
      const failing: Metrics.Sink = () => new Metrics.MetricsError({ target: "the tracker", reason: "is away" })
      const metrics = yield* Metrics.make([failing])
      assert.strictEqual((yield* Effect.flip(metrics.log({ step: 0 }))).target, "the tracker")
      let calls = 0
      const counted: Metrics.Sink = (row, spans) => Effect.suspend(() => (calls++, failing(row, spans)))
      const tolerant = yield* Metrics.make([Metrics.optional("the tracker", counted)])
      const { lines } = yield* withWarnings(Effect.all([tolerant.log({ step: 0 }), tolerant.log({ step: 1 })]))
      assert.strictEqual(calls, 1)
      assert.deepStrictEqual(lines, ["metrics go to the tracker no longer"])
    })
  )

  it.effect("warn once of a loop that awaits each call", () =>
    Effect.gen(function* () {
      const span = (name: string, wall_start: number, wall_end: number): Metrics.Span => ({
        name,
        wall_start,
        wall_end,
        duration: wall_end - wall_start
      })
      const warnings = (spans: ReadonlyArray<Metrics.Span>) =>
        Effect.gen(function* () {
          const metrics = yield* Metrics.make([])
          const steps = Array.from({ length: 8 }, (_, step) => metrics.log({ step }, spans))
          return (yield* withWarnings(Effect.all(steps))).lines
        })
      const sequential = yield* warnings([span("forward_backward", 0, 1), span("optim_step", 1.1, 2)])
      assert.strictEqual(sequential.length, 1)
      assert.include(sequential[0], "submit both")
      assert.deepStrictEqual(yield* warnings([span("forward_backward", 0, 1), span("optim_step", 0.1, 2)]), [])
    })
  )
})
