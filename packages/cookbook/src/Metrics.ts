/**
 * What one sees of a run while it trains. A loop hands the row of each step to this service, which hands it to every sink:
 * the console, Effect's metrics (and so OpenTelemetry), the files of a run (`RunDirectory`), or any function.
 *
 * ```ts
 * const MetricsLive = Metrics.layer([
 *   Metrics.console({ write: (text) => process.stderr.write(text), isTerminal: process.stderr.isTTY }),
 *   Effect.succeed(Metrics.gauges),
 *   Effect.succeed((row) => Effect.promise(() => tracker.log(row)))
 * ])
 * ```
 *
 * Names of rows are those of the service's own cookbook: `train_mean_nll`, `test/nll`, `time/forward_backward`, … Names of
 * services and programs may be any.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as forms from "./internal/metrics/forms.ts"
import type { MetricsError, Row, Sink, Span } from "./internal/metrics/row.ts"
import * as spans from "./internal/metrics/spans.ts"

export { MetricsError, type Row, type Sink, type Span } from "./internal/metrics/row.ts"

/**
 * Where the console is written, usually standard error.
 *
 * @since 0.1.0
 * @category models
 */
export type Output = forms.Output

/**
 * Records what happens in one step.
 *
 * @since 0.1.0
 * @category models
 */
export type Window = spans.Window

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * Hands a row to every sink, and with it the spans of the step, whose durations it adds as `time/…`. It warns, once, of
   * a loop that awaits each pass before it submits its update: every step then takes twice as long as it could.
   */
  readonly log: (row: Row, spans?: ReadonlyArray<Span>) => Effect.Effect<void, MetricsError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Metrics extends Context.Tag("@effect-tinker/cookbook/Metrics")<Metrics, Service>() {}

/**
 * A window that records the outermost spans of what runs in it, among them those of the operations of a
 * `TrainingClient`: `forward_backward`, `optim_step`, `save_state`. `Effect.withSpan` adds others.
 *
 * @since 0.1.0
 * @category constructors
 */
export const window: Effect.Effect<Window> = spans.makeWindow

/**
 * The row with the durations of spans, in seconds: `time/NAME` for one of a name, and `time/NAME:total`, `:count`, `:mean`
 * and `:max` for several.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withTimes = (row: Row, recorded: ReadonlyArray<Span>): Row => ({ ...row, ...spans.timesOf(recorded) })

/** Steps in a row that must wait for each call before the warning. */
const warnAfter = 3

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (sinks: ReadonlyArray<Sink>): Effect.Effect<Service> =>
  Effect.sync(() => {
    let waits = 0
    const warnOfWaits = (recorded: ReadonlyArray<Span>) =>
      Effect.suspend(() => {
        waits = waits >= warnAfter ? waits + 1 : spans.waitsForEachCall(recorded) ? waits + 1 : 0
        return waits === warnAfter
          ? Effect.logWarning(
              "the loop awaits each forwardBackward before it submits the optimStep: submit both, and await them then, " +
                "and each step takes one cycle of the service less"
            )
          : Effect.void
      })
    return {
      log: (row, recorded = []) =>
        Effect.andThen(
          warnOfWaits(recorded),
          Effect.suspend(() => {
            const whole = withTimes(row, recorded)
            return Effect.forEach(sinks, (sink) => sink(whole, recorded), { discard: true })
          })
        )
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = <E = never, R = never>(
  sinks: ReadonlyArray<Effect.Effect<Sink, E, R>>
): Layer.Layer<Metrics, E, Exclude<R, Scope.Scope>> => Layer.scoped(Metrics, Effect.flatMap(Effect.all(sinks), make))

/**
 * Shows nothing.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerSilent: Layer.Layer<Metrics> = layer([])

/**
 * Writes rows for a person. On a terminal: a table with a line for the first and the last step, for about sixteen between
 * them and for each evaluation, and below it a progress bar that is redrawn. Elsewhere, as in CI: those lines alone, in
 * the form `step 12/128  loss 0.1234  test/nll 0.2345  3200 tokens/s  0:12 left`. Steps are counted from 1 here. The
 * bar's line ends with the scope.
 *
 * @since 0.1.0
 * @category sinks
 */
export const console = (output: Output): Effect.Effect<Sink, never, Scope.Scope> =>
  Effect.gen(function* () {
    let columns: ReadonlyArray<string> = []
    let tokens = 0
    let seconds = 0
    let rows = 0
    let hasBar = false
    yield* Effect.addFinalizer(() => Effect.sync(() => (hasBar ? output.write("\n") : undefined)))
    const progressOf = (row: Row): forms.Progress => {
      const done = row.step + 1
      const progress = typeof row["progress"] === "number" && row["progress"] > 0 ? row["progress"] : 1
      const steps = Math.max(done, Math.round(done / progress))
      if (typeof row["num_tokens"] === "number") tokens += row["num_tokens"]
      if (typeof row["time/total"] === "number") seconds += row["time/total"]
      const tokensPerSecond = seconds > 0 ? Math.round(tokens / seconds) : 0
      return { done, steps, tokensPerSecond, secondsLeft: Math.ceil((seconds / ++rows) * (steps - done)) }
    }
    return (row) =>
      Effect.sync(() => {
        if (row["progress"] === undefined) return
        const progress = progressOf(row)
        const isKept = forms.isKept(row, progress)
        if (!output.isTerminal) {
          if (isKept) output.write(`${forms.describe(row, progress)}\n`)
          return
        }
        let text = ""
        if (isKept) {
          const before = columns
          columns = forms.columnsOf(row, before)
          if (columns !== before) text += `\r\u001b[2K${forms.headerLine(columns)}\n`
          text += `\r\u001b[2K${forms.tableLine(row, columns, progress)}\n`
        }
        output.write(`${text}\r\u001b[2K${forms.barLine(output.columns, row, progress)}`)
        hasBar = true
      })
  })

const gaugeOf = (name: string) => Metric.gauge(`tinker.training.${name}`)

/**
 * Sets the gauge `tinker.training.NAME` for each number of a row, for whatever exports Effect's metrics.
 *
 * @since 0.1.0
 * @category sinks
 */
export const gauges: Sink = (row) =>
  Effect.forEach(
    Object.entries(row),
    ([name, value]) => (typeof value === "number" ? Metric.set(gaugeOf(name), value) : Effect.void),
    { discard: true }
  )

/**
 * A sink that may fail without an end to the run: its first failure is a warning, and it gets no rows after it.
 *
 * @since 0.1.0
 * @category sinks
 */
export const optional = (name: string, sink: Sink): Sink => {
  let hasFailed = false
  return (row, recorded) =>
    Effect.suspend(() => (hasFailed ? Effect.void : sink(row, recorded))).pipe(
      Effect.catchAllCause((cause) => {
        hasFailed = true
        return Effect.logWarning(`metrics go to ${name} no longer`, cause)
      })
    )
}
