/** Handler of `tinker train`: reads the data, trains, and prints what came of it. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as Conversation from "@effect-tinker/cookbook/Conversation"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import type * as Nll from "@effect-tinker/cookbook/Nll"
import * as Supervised from "@effect-tinker/cookbook/Supervised"
import * as Path from "@effect/platform/Path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { CliError } from "../errors/cliError.ts"
import * as connect from "../service/connect.ts"
import * as Io from "../terminal/io.ts"
import * as output from "../terminal/output.ts"
import * as examples from "../training/examples.ts"
import * as trainOptions from "../training/options.ts"
import * as report from "../training/report.ts"

/** A run that is ready to start. */
interface Run {
  readonly options: trainOptions.Options
  readonly connection: connect.Connection
  readonly directory: string
  readonly model: string
  readonly settings: trainOptions.Settings
  readonly data: examples.Split<Nll.Example>
}

const directoryOf = Effect.fnUntraced(function* ({ file, output }: trainOptions.Options) {
  const path = yield* Path.Path
  const stem = path.basename(file).replace(/\.[^.]*$/, "")
  return path.resolve(Option.getOrElse(output, () => `tinker-${stem}`))
})

/** Reads the data, then connects: mistakes in the data are found before a request to the service. */
const prepare = Effect.fnUntraced(function* (options: trainOptions.Options) {
  yield* trainOptions.validate(options)
  const records = examples.split(yield* Dataset.read(Conversation.Record, options.file), options.heldOut)
  const directory = yield* directoryOf(options)
  const connection = yield* connect.make(options)
  const model = yield* connect.baseModel(connection, options.model, options.tokenizer)
  const tokenizer = yield* connect.tokenizerOf(connection, options, model)
  const data = yield* examples.tokenize(records, tokenizer)
  if (data.train.length === 0) {
    return yield* new CliError({ title: `${options.file} has nothing to train on`, details: "All of it is held out" })
  }
  const settings = yield* trainOptions.settingsOf(options, model, data.train.length)
  return { options, connection, directory, model, settings, data } satisfies Run
})

const announce = ({ connection, data, model, options, settings }: Run, from: number) =>
  output.note(
    options.format,
    `Training ${model} on ${connection.isEmbedded ? "the embedded service" : "the service"}: ` +
      `${data.train.length} examples, ${data.test.length} held out, ` +
      `${settings.steps} steps of ${settings.batchSize}` +
      (from === 0 ? "" : `, from step ${from}`)
  )

/** Batches that announce the run when the first one is read, and take Ctrl-C from then on. */
const makeBatches = Effect.fnUntraced(function* (run: Run, stop: Deferred.Deferred<void>) {
  const { data, options, settings } = run
  const io = yield* Io.Io
  const scope = yield* Effect.scope
  const batches = Batches.make(data.train, { size: settings.batchSize, seed: options.seed })
  const finishing = output
    .note(options.format, "\nStopping: the steps under way are finished and saved. Ctrl-C again stops at once.")
    .pipe(Effect.andThen(Deferred.succeed(stop, undefined)), Effect.provideService(Io.Io, io))
  let hasBegun = false
  const source: Supervised.Source<never, Io.Io> = {
    at: (step) =>
      Effect.suspend(() => {
        if (hasBegun) return batches.at(step)
        hasBegun = true
        const begin = Effect.andThen(
          Effect.provideService(io.onInterrupt(finishing), Scope.Scope, scope),
          announce(run, step)
        )
        return Effect.andThen(begin, batches.at(step))
      }),
    stepsPerEpoch: data.train.length / settings.batchSize,
    fingerprint: `${yield* Supervised.fingerprint(data.train)}, ${settings.batchSize} a step, seed ${options.seed}`
  }
  return source
})

const supervise = Effect.fnUntraced(function* (run: Run, stop: Deferred.Deferred<void>) {
  const { connection, data, directory, model, options, settings } = run
  const path = yield* Path.Path
  const every = options.evalEvery === 0 ? settings.steps : options.evalEvery
  return yield* Supervised.run({
    model: {
      base_model: model,
      rank: options.rank,
      seed: options.seed,
      user_metadata: { file: path.basename(options.file) }
    },
    batches: yield* makeBatches(run, stop),
    steps: settings.steps,
    learningRate: settings.learningRate,
    seed: options.seed,
    stop: Deferred.await(stop),
    evaluations: data.test.length === 0 ? [] : [Supervised.heldOut(data.test, { every })],
    checkpoints: { every: options.saveEvery === 0 ? undefined : options.saveEvery, name: options.name },
    directory: { path: directory, resume: options.resume },
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
    const run = yield* prepare(options)
    const stop = yield* Deferred.make<void>()
    const result = yield* supervise(run, stop)
    if (result.reason === "request") return yield* explainStop(run, result)
    yield* report.print(
      {
        format: options.format,
        file: options.file,
        directory: run.directory,
        model: run.model,
        examples: run.data.train.length,
        heldOut: run.data.test.length
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
