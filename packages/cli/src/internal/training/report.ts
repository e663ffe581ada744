/** What `tinker train` shows: a table while it trains, and the result. */
import * as Metrics from "@effect-tinker/cookbook/Metrics"
import * as Plot from "@effect-tinker/cookbook/Plot"
import type * as Supervised from "@effect-tinker/cookbook/Supervised"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as runtime from "../effect/runtime.ts"
import * as Io from "../terminal/io.ts"
import * as output from "../terminal/output.ts"
import * as files from "../util/files.ts"

/** What the result is about. */
interface Subject {
  readonly format: output.Format
  readonly file: string
  readonly directory: string
  readonly model: string
  readonly examples: number
  readonly heldOut: number
}

/** A table with a progress bar on a terminal, and nothing elsewhere. @internal */
export const layerMetrics = (format: output.Format): Layer.Layer<Metrics.Metrics, never, Io.Io> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const io = yield* Io.Io
      const fork = yield* runtime.makeFork
      if (!io.errIsTerminal || format === "json") return Metrics.layerSilent
      return Metrics.layer([
        Metrics.console({ write: (text) => fork(io.err(text)), isTerminal: true, columns: io.errColumns })
      ])
    })
  )

type Value = number | undefined

const numberOf = (value: unknown): Value => (typeof value === "number" ? value : undefined)

const text = (value: Value) => (value === undefined ? "not known" : value.toFixed(4))

/** Writes the plot of the loss to a file, and to the terminal. */
const plot = Effect.fnUntraced(function* (
  { directory, file, format, model }: Subject,
  losses: ReadonlyArray<Value>,
  target: string
) {
  const io = yield* Io.Io
  const path = yield* Path.Path
  // a plot omits what is not a number
  const y = losses.map((loss) => loss ?? Number.NaN)
  const curve: Plot.Series = { name: "loss per token", x: losses.map((_, i) => i + 1), y }
  const title = `${path.basename(file)} on ${model}`
  yield* files.write(
    path.join(directory, target),
    Plot.svg([curve], { title, xLabel: "step", yLabel: "loss per token" })
  )
  if (format === "table") {
    yield* io.out(`${Plot.terminal(curve, { columns: Math.min(io.columns ?? 72, 72), xLabel: "step" })}\n\n`)
  }
})

const plotFile = "loss.svg"

/** Prints the result of a run. @internal */
export const print = Effect.fnUntraced(function* (subject: Subject, result: Supervised.Result) {
  const path = yield* Path.Path
  const losses = result.rows.flatMap((row) =>
    row["train_mean_nll"] === undefined ? [] : [numberOf(row["train_mean_nll"])]
  )
  yield* plot(subject, losses, plotFile)
  const { directory, examples, format, heldOut, model } = subject
  const [first, last] = [losses[0], losses.at(-1)]
  const before = numberOf(result.rows.find((row) => "test/nll" in row)?.["test/nll"])
  const after = numberOf(result.evaluated["test/nll"])
  const { sampler_path, state_path } = result.checkpoint ?? {}
  const metrics = path.join(directory, "metrics.jsonl")
  const plotPath = path.join(directory, plotFile)
  yield* output.print(format, {
    json: {
      base_model: model,
      training_run_id: result.training.modelId,
      steps: result.steps,
      examples,
      held_out: heldOut,
      first_loss: first ?? null,
      last_loss: last ?? null,
      held_out_loss_before: before ?? null,
      held_out_loss_after: after ?? null,
      state_path,
      sampler_path,
      metrics,
      plot: plotPath
    },
    table: {
      columns: ["Property", "Value"],
      rows: [
        ["Base Model", model],
        ["Run ID", result.training.modelId],
        ["Steps", String(result.steps)],
        ["Loss", `${text(first)} → ${text(last)}`],
        ...(heldOut === 0 ? [] : [["Held-out Loss", `${text(before)} → ${text(after)}`]]),
        ["State", state_path ?? ""],
        ["Weights", sampler_path ?? ""],
        ["Metrics", metrics],
        ["Plot", plotPath]
      ]
    }
  })
})
