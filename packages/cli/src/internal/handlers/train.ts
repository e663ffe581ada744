/** Handler of `tinker train`: reads the data, trains, and prints what came of it. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Batches from "@effect-tinker/cookbook/Batches"
import type * as Dataset from "@effect-tinker/cookbook/Dataset"
import type * as DataReport from "@effect-tinker/cookbook/DataReport"
import * as NodeReport from "@effect-tinker/cookbook/NodeReport"
import type * as Nll from "@effect-tinker/cookbook/Nll"
import * as Renderer from "@effect-tinker/cookbook/Renderer"
import * as Supervised from "@effect-tinker/cookbook/Supervised"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Path from "@effect/platform/Path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Environment } from "../definition/global.ts"
import { CliError } from "../errors/cliError.ts"
import * as connect from "../service/connect.ts"
import * as Io from "../terminal/io.ts"
import * as output from "../terminal/output.ts"
import * as data from "../training/data.ts"
import * as preview from "../training/dryRun.ts"
import * as examples from "../training/examples.ts"
import * as trainOptions from "../training/options.ts"
import * as report from "../training/report.ts"

/** A run that is ready to start. */
interface Run {
  readonly options: trainOptions.Options
  readonly connection: connect.Connection
  readonly directory: string
  readonly model: string
  readonly renderer: string | undefined
  readonly settings: trainOptions.Settings
  readonly train: examples.Prepared
  readonly test: ReadonlyArray<Nll.Example>
  readonly tokenizer: Tokenizer.Service
  readonly prompts: Effect.Effect.Success<ReturnType<typeof examples.promptsOf>>
  readonly report: DataReport.DataReport
}

const directoryOf = Effect.fnUntraced(function* ({ file, output }: trainOptions.Options) {
  const path = yield* Path.Path
  const stem = path.basename(file).replace(/\.[^.]*$/, "")
  return path.resolve(Option.getOrElse(output, () => `tinker-${stem}`))
})

const openData = ({ file, heldOut, mix, seed }: trainOptions.Options) => data.open({ file, heldOut, mix, seed })

/** Renders the data for a model, and says what is left out. */
const render = Effect.fnUntraced(function* (
  options: trainOptions.Options,
  records: data.Data,
  model: string,
  tokenizer: Tokenizer.Service,
  maxLength: number | undefined
) {
  const renderer = yield* examples.rendererFor(model, tokenizer, records, Option.getOrUndefined(options.renderer))
  const rendering: examples.Rendering = {
    tokenizer,
    renderer,
    trainOn: options.trainOn,
    maxLength: Option.getOrElse(options.maxLength, () => maxLength),
    tooLong: options.tooLong
  }
  const train = yield* examples.prepare(records.train, rendering)
  const test = yield* examples.prepare(records.test, rendering)
  if (train.examples.size === 0) {
    return yield* new CliError({
      title: `${options.file} has nothing to train on`,
      details: `${train.counts.skipped} examples are too long, and ${train.counts.untrained} have nothing to train`
    })
  }
  const { emptied, skipped, truncated, untrained } = train.counts
  if (truncated > 0) yield* Effect.logWarning(`${truncated} examples are truncated`)
  if (skipped > 0) yield* Effect.logWarning(`${skipped} examples are skipped, since they are too long`)
  if (untrained > 0) {
    const cut = emptied > 0 ? `; of ${emptied}, all that is trained was cut off` : ""
    yield* Effect.logWarning(`${untrained} examples have nothing to train, and are left out${cut}`)
  }
  const settings = yield* trainOptions.settingsOf(options, model, train.examples.size)
  const prompts = yield* examples.promptsOf(options.samplePrompt, rendering)
  return { renderer: renderer?.name, train, test, settings, prompts }
})

const all = ({ examples }: examples.Prepared) =>
  Effect.forEach(
    Array.from({ length: examples.size }, (_, i) => i),
    examples.at
  )

/** Reads the data, then connects: mistakes in the data are found before a request to the service. */
const prepare = Effect.fnUntraced(function* (options: trainOptions.Options, records: data.Data) {
  const directory = yield* directoryOf(options)
  const connection = yield* connect.make(options)
  const model = yield* connect.baseModel(connection, options.model, options.tokenizer)
  const tokenizer = yield* connect.tokenizerOf(connection, options, model)
  const longest = yield* connect.contextLength(connection, model)
  const rendered = yield* render(options, records, model, tokenizer, longest)
  const report = preview.reportOf({ data: records, ...rendered })
  const test = yield* all(rendered.test)
  return { options, connection, directory, model, tokenizer, report, ...rendered, test } satisfies Run
})

/** Shows what a run would be, without a service. */
const dryRun = Effect.fnUntraced(function* (options: trainOptions.Options, records: data.Data) {
  const { longest, model, tokenizer } = yield* connect.offline(options)
  const rendered = yield* render(options, records, model, tokenizer, longest)
  yield* preview.print({ options, model, tokenizer, data: records, ...rendered })
})

const announce = ({ connection, model, options, settings, test, train }: Run, from: number) =>
  output.note(
    options.format,
    `Training ${model} on ${connection.isEmbedded ? "the embedded service" : "the service"}: ` +
      `${train.examples.size} examples, ${test.length} held out, ` +
      `${settings.steps} steps of ${settings.batchSize}` +
      (from === 0 ? "" : `, from step ${from}`)
  )

/** The live page of the run, until the command ends. Training goes on without it. */
const watch = ({ directory, options }: Run) =>
  options.watch
    ? NodeReport.watch(directory).pipe(
        Effect.flatMap((url) => output.note(options.format, `Live at ${url}`)),
        Effect.catchAll(({ message }) => Effect.logWarning(`there is no live page: ${message}`))
      )
    : Effect.void

/** Batches that announce the run when the first one is read, and take Ctrl-C from then on. */
const makeBatches = Effect.fnUntraced(function* (run: Run, stop: Deferred.Deferred<void>) {
  const { options, settings, train } = run
  const io = yield* Io.Io
  const scope = yield* Effect.scope
  const batches = Batches.make(train.examples, { size: settings.batchSize, seed: options.seed })
  const finishing = output
    .note(options.format, "\nStopping: the steps under way are finished and saved. Ctrl-C again stops at once.")
    .pipe(Effect.andThen(Deferred.succeed(stop, undefined)), Effect.provideService(Io.Io, io))
  let hasBegun = false
  const source: Supervised.Source<Dataset.DatasetError, Environment> = {
    ...batches,
    at: (step) =>
      Effect.suspend(() => {
        if (hasBegun) return batches.at(step)
        hasBegun = true
        const begin = Effect.all([io.onInterrupt(finishing), announce(run, step), watch(run)]).pipe(
          Effect.provideService(Scope.Scope, scope)
        )
        return Effect.andThen(begin, batches.at(step))
      })
  }
  return source
})

/** The loss on what is held out, and samples. */
const evaluationsOf = ({ options, prompts, settings, test, tokenizer }: Run): ReadonlyArray<Supervised.Evaluation> => {
  const heldOutEvery = options.evalEvery === 0 ? settings.steps : options.evalEvery
  return [
    ...(test.length === 0 ? [] : [Supervised.heldOut(test, { every: heldOutEvery })]),
    ...(options.sampleEvery === 0
      ? []
      : [
          Supervised.samples({
            prompts: prompts.prompts,
            every: options.sampleEvery,
            decode: (tokens) => tokenizer.decode(tokens, { skipSpecialTokens: true }),
            sampling: prompts.stop === undefined ? {} : { stop: prompts.stop }
          })
        ])
  ]
}

const supervise = Effect.fnUntraced(function* (run: Run, stop: Deferred.Deferred<void>) {
  const { connection, directory, model, options, settings } = run
  const path = yield* Path.Path
  return yield* Supervised.run({
    model: {
      base_model: model,
      rank: options.rank,
      seed: options.seed,
      user_metadata: {
        file: path.basename(options.file),
        ...(run.renderer === undefined ? {} : { [Renderer.metadataKey]: run.renderer })
      }
    },
    batches: yield* makeBatches(run, stop),
    steps: settings.steps,
    learningRate: settings.learningRate,
    seed: options.seed,
    stop: Deferred.await(stop),
    evaluations: evaluationsOf(run),
    checkpoints: { every: options.saveEvery === 0 ? undefined : options.saveEvery, name: options.name },
    directory: { path: directory, resume: options.resume },
    renderer: run.renderer,
    data: run.report,
    prices: Option.getOrUndefined(
      Option.map(options.price, (train) => ({ train, sample: 0, prefill: 0, cached_prefill: 0 }))
    ),
    threads: connection.isEmbedded ? connect.embeddedThreads : undefined
  }).pipe(
    Effect.provideService(ServiceClient.ServiceClient, connection.service),
    Effect.provide(report.layerMetrics(options.format))
  )
})

/** Says where a run stands that was stopped. */
const explainStop = ({ directory, options, settings }: Run, { checkpoint, steps }: Supervised.Result) =>
  output.note(
    options.format,
    checkpoint === undefined
      ? "Nothing is saved: no step was done"
      : `Saved ${steps} of ${settings.steps} steps in ${directory}: continue with --resume`
  )

/** @internal */
export const train = (options: trainOptions.Options) =>
  Effect.gen(function* () {
    yield* trainOptions.validate(options)
    const records = yield* openData(options)
    if (options.dryRun) return yield* dryRun(options, records)
    const run = yield* prepare(options, records)
    const stop = yield* Deferred.make<void>()
    const result = yield* supervise(run, stop)
    if (result.reason === "request") return yield* explainStop(run, result)
    yield* report.print(
      {
        format: options.format,
        directory: run.directory,
        model: run.model,
        examples: run.train.examples.size,
        heldOut: run.test.length
      },
      result
    )
  }).pipe(
    Effect.catchTag("RunExists", ({ path }) =>
      Effect.fail(
        new CliError({
          title: `There is a run in ${path}`,
          details: "Resume it with --resume, or choose another directory with --output"
        })
      )
    ),
    Effect.scoped
  )
