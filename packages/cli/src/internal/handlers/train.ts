import * as Conversation from "@effect-tinker/cookbook/Conversation"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as FineTune from "@effect-tinker/cookbook/FineTune"
import * as Plot from "@effect-tinker/cookbook/Plot"
import * as Progress from "@effect-tinker/cookbook/Progress"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import { CliError, UsageError } from "../cliError.ts"
import type { Global } from "../commands.ts"
import * as connect from "../connect.ts"
import * as files from "../files.ts"
import * as Io from "../io.ts"
import * as output from "../output.ts"

interface Options extends Global, connect.Options {
  readonly file: string
  readonly model: Option.Option<string>
  readonly rank: number
  readonly learningRate: Option.Option<number>
  readonly batchSize: number
  readonly epochs: number
  readonly steps: Option.Option<number>
  readonly seed: number
  readonly heldOut: number
  readonly saveEvery: number
  readonly name: string
  readonly output: Option.Option<string>
  readonly resume: boolean
}

/** What a run writes into its file of metrics, a line each. */
type Line =
  | ({ readonly type: "run" } & Settings)
  | { readonly type: "step"; readonly step: number; readonly loss: number; readonly [key: string]: unknown }
  | { readonly type: "state"; readonly step: number; readonly path: string }

/** What must be the same for a run to go on as if it had never stopped. */
interface Settings {
  readonly base_model: string
  readonly rank: number
  readonly learning_rate: number
  readonly batch_size: number
  readonly steps: number
  readonly seed: number
  readonly held_out: number
}

/** Held-out examples at most: the loss on them is a check, not the work. */
const heldOutAtMost = 256

/** The last so many examples are held out, unless the records say themselves which. */
const split = (records: ReadonlyArray<Conversation.Record>, share: number) => {
  const marked = records.some(({ split }) => split === "test")
  const count = marked ? 0 : Math.min(heldOutAtMost, Math.floor(records.length * share))
  return marked
    ? {
        train: records.filter(({ split }) => split !== "test"),
        test: records.filter(({ split }) => split === "test").slice(0, heldOutAtMost)
      }
    : { train: records.slice(0, records.length - count), test: records.slice(records.length - count) }
}

const atLeast = (name: string, value: number, least: number, whole = true) =>
  value >= least && (!whole || Number.isInteger(value))
    ? Effect.void
    : Effect.fail(
        new UsageError({
          reason: `--${name} is ${value}: give ${whole ? "a whole number" : "a number"} of ${least} or more`
        })
      )

const parseLine = (line: string): ReadonlyArray<Line> => {
  try {
    return [JSON.parse(line) as Line]
  } catch {
    // the last line of a run that was killed may be half a line
    return []
  }
}

/** @internal */
export const train = (options: Options) =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    yield* atLeast("rank", options.rank, 1)
    yield* atLeast("batch-size", options.batchSize, 1)
    yield* atLeast("epochs", options.epochs, 0, false)
    yield* atLeast("save-every", options.saveEvery, 0)
    if (!(options.heldOut >= 0 && options.heldOut < 1)) {
      return yield* new UsageError({ reason: `--held-out is ${options.heldOut}: give a share of 0 or more, below 1` })
    }

    // everything that can be wrong here is found before a service is asked
    const records = yield* Dataset.read(Conversation.Record, options.file)
    const { test, train } = split(records, options.heldOut)
    const stem = path.basename(options.file).replace(/\.[^.]*$/, "")
    const directory = path.resolve(Option.getOrElse(options.output, () => `tinker-${stem}`))
    const metricsFile = path.join(directory, "metrics.jsonl")
    const plotFile = path.join(directory, "loss.svg")
    const held = yield* Effect.orElseSucceed(fs.exists(metricsFile), () => false)
    if (held && !options.resume) {
      return yield* new CliError({
        title: `There is a run in ${directory}`,
        details: "Go on with it by --resume, or give another directory by --output"
      })
    }
    const lines = held ? (yield* files.readText(metricsFile)).split("\n").flatMap(parseLine) : []
    const before = lines.find((line) => line.type === "run")
    const state = lines.findLast((line) => line.type === "state")
    const from = state?.step ?? 0

    const connection = yield* connect.make(options)
    const base_model = before?.base_model ?? (yield* connection.baseModel(options.model))
    const tokenizer = yield* connection.tokenizerOf(base_model)
    const toExamples = (part: ReadonlyArray<Conversation.Record>) =>
      Effect.forEach(part, (record) => Conversation.toDatum(record, tokenizer))
    const examples = (yield* toExamples(train)).filter((example) => FineTune.weightOf([example]) > 0)
    const heldOut = (yield* toExamples(test)).filter((example) => FineTune.weightOf([example]) > 0)
    if (examples.length === 0) {
      return yield* new CliError({ title: `${options.file} has nothing to train on`, details: "All of it is held out" })
    }
    const settings: Settings = before ?? {
      base_model,
      rank: options.rank,
      // an adapter on a model of a million parameters bears, and needs, far more than one on billions
      learning_rate: Option.getOrElse(options.learningRate, () => (base_model === "effect-tinker/nano" ? 5e-3 : 2e-4)),
      batch_size: Math.min(options.batchSize, examples.length),
      steps: Option.getOrElse(options.steps, () =>
        Math.max(1, Math.ceil((options.epochs * examples.length) / Math.min(options.batchSize, examples.length)))
      ),
      seed: options.seed,
      held_out: heldOut.length
    }
    yield* atLeast("steps", settings.steps, 1)

    const training = yield* state === undefined
      ? connection.service.createLoraTrainingClient({
          base_model,
          rank: settings.rank,
          seed: settings.seed,
          user_metadata: { file: path.basename(options.file) }
        })
      : connection.service.createTrainingClientFromStateWithOptimizer(state.path)

    // what came after the state is done again
    const kept = lines.filter((line) => line.type === "run" || line.step <= from)
    const text = (line: Line) => `${JSON.stringify(line)}\n`
    yield* files.write(
      metricsFile,
      (before === undefined ? [{ type: "run" as const, ...settings }] : kept).map(text).join("")
    )
    const append = (line: Line) =>
      Effect.mapError(
        fs.writeFileString(metricsFile, text(line), { flag: "a" }),
        (cause) => new CliError({ title: `Cannot write ${metricsFile}`, details: cause.message, cause })
      )
    const said = state === undefined ? "" : `, from step ${from}`
    yield* output.note(
      options.format,
      `Training ${base_model} on ${connection.isEmbedded ? "the embedded service" : "the service"}: ` +
        `${examples.length} examples, ${heldOut.length} held out, ${settings.steps} steps of ${settings.batch_size}${said}`
    )

    const fork = Runtime.runFork(yield* Effect.runtime())
    const progress = Progress.make({
      // on a terminal alone
      write: (text) => (io.errIsTerminal && options.format === "table" ? fork(io.err(text)) : undefined),
      isTerminal: io.errIsTerminal,
      columns: io.errColumns
    })
    const result = yield* progress.run(settings.steps - from, (run) =>
      FineTune.run({
        training,
        examples,
        heldOut,
        steps: settings.steps,
        from,
        batchSize: settings.batch_size,
        learningRate: settings.learning_rate,
        seed: settings.seed,
        saveEvery: options.saveEvery === 0 ? undefined : options.saveEvery,
        onSave: (step, path) => append({ type: "state", step, path }),
        onStep: ({ learningRate, loss, seconds, step, tokens }) =>
          Effect.zipRight(
            append({ type: "step", step, loss, learning_rate: learningRate, tokens, seconds }),
            run.step({ lossPerToken: loss, tokens })
          )
      })
    )
    const saved = yield* training.saveState(options.name, { overwrite: true })
    const sampler = yield* training.saveWeightsForSampler(options.name)
    const { path: state_path } = yield* Fiber.join(saved)
    const { path: sampler_path } = yield* Fiber.join(sampler)
    yield* append({ type: "state", step: settings.steps, path: state_path })

    const earlier = kept.flatMap((line) => (line.type === "step" ? [line.loss] : []))
    const losses = [...earlier, ...result.losses]
    const curve: Plot.Series = { name: "loss per token", x: losses.map((_, i) => i + 1), y: losses }
    const title = `${path.basename(options.file)} on ${base_model}`
    yield* files.write(plotFile, Plot.svg([curve], { title, xLabel: "step", yLabel: "loss per token" }))

    const number = (value: number | undefined) => (value === undefined ? "N/A" : value.toFixed(4))
    if (options.format === "table") {
      yield* io.out(`${Plot.terminal(curve, { columns: Math.min(io.columns ?? 72, 72), xLabel: "step" })}\n\n`)
    }
    yield* output.print(options.format, {
      json: {
        base_model,
        training_run_id: training.modelId,
        steps: settings.steps,
        examples: examples.length,
        held_out: heldOut.length,
        first_loss: losses[0] ?? null,
        last_loss: losses.at(-1) ?? null,
        held_out_loss_before: result.heldOutBefore ?? null,
        held_out_loss_after: result.heldOutAfter ?? null,
        state_path,
        sampler_path,
        metrics: metricsFile,
        plot: plotFile
      },
      table: {
        columns: ["Property", "Value"],
        rows: [
          ["Base Model", base_model],
          ["Run ID", training.modelId],
          ["Steps", String(settings.steps)],
          ["Loss", `${number(losses[0])} → ${number(losses.at(-1))}`],
          ...(heldOut.length === 0
            ? []
            : [["Held-out Loss", `${number(result.heldOutBefore)} → ${number(result.heldOutAfter)}`]]),
          ["State", state_path],
          ["Weights", sampler_path],
          ["Metrics", metricsFile],
          ["Plot", plotFile]
        ]
      }
    })
  }).pipe(Effect.scoped)
