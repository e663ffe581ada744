/** Handler of `tinker train`: reads the data, trains, and writes metrics, a plot and checkpoints. */
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Conversation from "@effect-tinker/cookbook/Conversation"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as FineTune from "@effect-tinker/cookbook/FineTune"
import * as Plot from "@effect-tinker/cookbook/Plot"
import * as Progress from "@effect-tinker/cookbook/Progress"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as runtime from "../effect/runtime.ts"
import { CliError } from "../errors/cliError.ts"
import * as connect from "../service/connect.ts"
import * as Io from "../terminal/io.ts"
import * as output from "../terminal/output.ts"
import * as examples from "../training/examples.ts"
import * as metricsFile from "../training/metricsFile.ts"
import * as trainOptions from "../training/options.ts"
import * as files from "../util/files.ts"

type Options = trainOptions.Options

/** The files of a run, and what an earlier run with `--output` there has written. */
interface RunDirectory {
  readonly metrics: string
  readonly plot: string
  /** The lines of the run to resume; none for a new run. */
  readonly lines: ReadonlyArray<metricsFile.Line>
  readonly settings: metricsFile.Settings | undefined
  /** The last saved state. */
  readonly state: { readonly step: number; readonly path: string } | undefined
}

/** A run that is ready to start. */
interface Run {
  readonly options: Options
  readonly connection: connect.Connection
  readonly directory: RunDirectory
  readonly settings: metricsFile.Settings
  readonly data: examples.Split<FineTune.Example>
}

const openDirectory = Effect.fnUntraced(function* (options: Options) {
  const path = yield* Path.Path
  const stem = path.basename(options.file).replace(/\.[^.]*$/, "")
  const directory = path.resolve(Option.getOrElse(options.output, () => `tinker-${stem}`))
  const metrics = path.join(directory, "metrics.jsonl")
  const lines = yield* metricsFile.read(metrics)
  if (lines !== undefined && !options.resume) {
    return yield* new CliError({
      title: `There is a run in ${directory}`,
      details: "Resume it with --resume, or choose another directory with --output"
    })
  }
  return {
    metrics,
    plot: path.join(directory, "loss.svg"),
    lines: lines ?? [],
    settings: lines?.find((line) => line.type === "run"),
    state: lines?.findLast((line) => line.type === "state")
  } satisfies RunDirectory
})

/** Reads the data, then connects: mistakes in the data are found before a request to the service. */
const prepare = Effect.fnUntraced(function* (options: Options) {
  yield* trainOptions.validate(options)
  const records = examples.split(yield* Dataset.read(Conversation.Record, options.file), options.heldOut)
  const directory = yield* openDirectory(options)
  const connection = yield* connect.make(options)
  const base_model =
    directory.settings?.base_model ?? (yield* connect.baseModel(connection, options.model, options.tokenizer))
  const tokenizer = yield* connect.tokenizerOf(connection, options, base_model)
  const data = yield* examples.tokenize(records, tokenizer)
  if (data.train.length === 0) {
    return yield* new CliError({ title: `${options.file} has nothing to train on`, details: "All of it is held out" })
  }
  const settings =
    directory.settings ??
    (yield* trainOptions.settingsOf(options, { base_model, examples: data.train.length, heldOut: data.test.length }))
  return { options, connection, directory, settings, data } satisfies Run
})

/** A new adapter, or the saved state of the run to resume. */
const createTrainingClient = Effect.fnUntraced(function* ({ connection, directory, options, settings }: Run) {
  const path = yield* Path.Path
  return yield* directory.state === undefined
    ? connection.service.createLoraTrainingClient({
        base_model: settings.base_model,
        rank: settings.rank,
        seed: settings.seed,
        user_metadata: { file: path.basename(options.file) }
      })
    : connection.service.createTrainingClientFromStateWithOptimizer(directory.state.path)
})

/** Starts the metrics file, or drops the steps after the saved state, which run again. Succeeds with what is kept. */
const startMetrics = ({ directory, settings }: Run) => {
  const from = directory.state?.step ?? 0
  const kept: ReadonlyArray<metricsFile.Line> =
    directory.settings === undefined
      ? [{ type: "run", ...settings }]
      : directory.lines.filter((line) => line.type === "run" || line.step <= from)
  return Effect.as(metricsFile.write(directory.metrics, kept), kept)
}

const announce = ({ connection, data, directory, options, settings }: Run) =>
  output.note(
    options.format,
    `Training ${settings.base_model} on ${connection.isEmbedded ? "the embedded service" : "the service"}: ` +
      `${data.train.length} examples, ${data.test.length} held out, ` +
      `${settings.steps} steps of ${settings.batch_size}` +
      (directory.state === undefined ? "" : `, from step ${directory.state.step}`)
  )

/** A progress display on a terminal, and nothing elsewhere. */
const makeProgress = Effect.fnUntraced(function* (format: output.Format) {
  const io = yield* Io.Io
  const fork = yield* runtime.makeFork
  return Progress.make({
    write: (text) => (io.errIsTerminal && format === "table" ? fork(io.err(text)) : undefined),
    isTerminal: io.errIsTerminal,
    columns: io.errColumns
  })
})

/** Runs the steps, and appends each to the metrics file. */
const runSteps = Effect.fnUntraced(function* (
  { data, directory, options, settings }: Run,
  training: TrainingClient.TrainingClient
) {
  const append = (line: metricsFile.Line) => metricsFile.append(directory.metrics, line)
  const progress = yield* makeProgress(options.format)
  const from = directory.state?.step ?? 0
  return yield* progress.run(settings.steps - from, (run) =>
    FineTune.run({
      training,
      examples: data.train,
      heldOut: data.test,
      steps: settings.steps,
      from,
      batchSize: settings.batch_size,
      learningRate: settings.learning_rate,
      seed: settings.seed,
      saveEvery: options.saveEvery === 0 ? undefined : options.saveEvery,
      onSave: (step, path) => append({ type: "state", step, path }),
      onStep: ({ learningRate, loss, seconds, step, tokens }) =>
        Effect.andThen(
          append({ type: "step", step, loss: loss ?? null, learning_rate: learningRate, tokens, seconds }),
          run.step({ lossPerToken: loss, tokens })
        )
    })
  )
})

/** Saves the state and the sampler weights at the end of the run. */
const save = Effect.fnUntraced(function* (
  { directory, options, settings }: Run,
  training: TrainingClient.TrainingClient
) {
  const state = yield* training.saveState(options.name, { overwrite: true })
  const sampler = yield* training.saveWeightsForSampler(options.name)
  const [{ path: state_path }, { path: sampler_path }] = yield* Effect.all([Fiber.join(state), Fiber.join(sampler)])
  yield* metricsFile.append(directory.metrics, { type: "state", step: settings.steps, path: state_path })
  return { state_path, sampler_path }
})

/** Writes the plot of the loss to a file, and to the terminal. */
const plot = Effect.fnUntraced(function* (
  { directory, options, settings }: Run,
  losses: ReadonlyArray<number | undefined>
) {
  const io = yield* Io.Io
  const path = yield* Path.Path
  // a plot omits what is not a number
  const y = losses.map((loss) => loss ?? Number.NaN)
  const curve: Plot.Series = { name: "loss per token", x: losses.map((_, i) => i + 1), y }
  const title = `${path.basename(options.file)} on ${settings.base_model}`
  yield* files.write(directory.plot, Plot.svg([curve], { title, xLabel: "step", yLabel: "loss per token" }))
  if (options.format === "table") {
    yield* io.out(`${Plot.terminal(curve, { columns: Math.min(io.columns ?? 72, 72), xLabel: "step" })}\n\n`)
  }
})

const number = (value: number | undefined) => (value === undefined ? "not known" : value.toFixed(4))

const printResult = (
  { data, directory, options, settings }: Run,
  result: {
    readonly modelId: string
    readonly losses: ReadonlyArray<number | undefined>
    readonly heldOutBefore: number | undefined
    readonly heldOutAfter: number | undefined
    readonly state_path: string
    readonly sampler_path: string
  }
) => {
  const [first, last] = [result.losses[0], result.losses.at(-1)]
  return output.print(options.format, {
    json: {
      base_model: settings.base_model,
      training_run_id: result.modelId,
      steps: settings.steps,
      examples: data.train.length,
      held_out: data.test.length,
      first_loss: first ?? null,
      last_loss: last ?? null,
      held_out_loss_before: result.heldOutBefore ?? null,
      held_out_loss_after: result.heldOutAfter ?? null,
      state_path: result.state_path,
      sampler_path: result.sampler_path,
      metrics: directory.metrics,
      plot: directory.plot
    },
    table: {
      columns: ["Property", "Value"],
      rows: [
        ["Base Model", settings.base_model],
        ["Run ID", result.modelId],
        ["Steps", String(settings.steps)],
        ["Loss", `${number(first)} → ${number(last)}`],
        ...(data.test.length === 0
          ? []
          : [["Held-out Loss", `${number(result.heldOutBefore)} → ${number(result.heldOutAfter)}`]]),
        ["State", result.state_path],
        ["Weights", result.sampler_path],
        ["Metrics", directory.metrics],
        ["Plot", directory.plot]
      ]
    }
  })
}

/** @internal */
export const train = (options: Options) =>
  Effect.gen(function* () {
    const run = yield* prepare(options)
    const training = yield* createTrainingClient(run)
    const kept = yield* startMetrics(run)
    yield* announce(run)
    const result = yield* runSteps(run, training)
    const saved = yield* save(run, training)
    const earlier = kept.flatMap((line) => (line.type === "step" ? [line.loss ?? undefined] : []))
    const losses = [...earlier, ...result.losses]
    yield* plot(run, losses)
    yield* printResult(run, { ...result, ...saved, losses, modelId: training.modelId })
  }).pipe(Effect.scoped)
