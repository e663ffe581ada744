/** What `tinker train` shows: a table while it trains, and the result. */
import * as Metrics from "@effect-tinker/cookbook/Metrics"
import * as NodeReport from "@effect-tinker/cookbook/NodeReport"
import * as Plot from "@effect-tinker/cookbook/Plot"
import type * as Supervised from "@effect-tinker/cookbook/Supervised"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as runtime from "../effect/runtime.ts"
import * as Io from "../terminal/io.ts"
import * as output from "../terminal/output.ts"

/** What the result is about. */
interface Subject {
  readonly format: output.Format
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

/** Shows the curve of the loss on a terminal. */
const plot = Effect.fnUntraced(function* (format: output.Format, losses: ReadonlyArray<Value>) {
  if (format !== "table") return
  const io = yield* Io.Io
  // a plot omits what is not a number
  const curve = { x: losses.map((_, i) => i + 1), y: losses.map((loss) => loss ?? Number.NaN) }
  const text = Plot.terminal(curve, { columns: Math.min(io.columns ?? 72, 72), xLabel: "step" })
  if (text !== "") yield* io.out(`Loss\n${text}\n\n`)
})

/** Writes the page of the run. The run has ended well, so that a page that cannot be written is no failure of it. */
const writePage = (directory: string) =>
  Effect.catchAll(NodeReport.write(directory), ({ message }) =>
    Effect.as(Effect.logWarning(`there is no page of the run: ${message}`), undefined)
  )

/** Prints the result of a run. @internal */
export const print = Effect.fnUntraced(function* (subject: Subject, result: Supervised.Result) {
  const path = yield* Path.Path
  const losses = result.rows.flatMap((row) =>
    row["train_mean_nll"] === undefined ? [] : [numberOf(row["train_mean_nll"])]
  )
  yield* plot(subject.format, losses)
  const page = yield* writePage(subject.directory)
  const { directory, examples, format, heldOut, model } = subject
  const [first, last] = [losses[0], losses.at(-1)]
  const before = numberOf(result.rows.find((row) => "test/nll" in row)?.["test/nll"])
  const after = numberOf(result.evaluated["test/nll"])
  const { sampler_path, state_path } = result.checkpoint ?? {}
  const metrics = path.join(directory, "metrics.jsonl")
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
      report: page ?? null
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
        ["Report", page ?? ""]
      ]
    }
  })
})
