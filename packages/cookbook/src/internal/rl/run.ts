/** The synchronous loop, and what all loops begin and end with. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Path from "@effect/platform/Path"
import * as Random from "effect/Random"
import * as Metrics from "../../Metrics.ts"
import type * as RunDirectory from "../../RunDirectory.ts"
import { adapterOf, open } from "../supervised/start.ts"
import { submitSaves } from "../supervised/submit.ts"
import { asynchronous } from "./asynchronous.ts"
import { collectStep, groupsAt } from "./collect.ts"
import * as journal from "./journal.ts"
import { klShaping } from "./data.ts"
import { type Options, type Shaping, validate } from "./options.ts"
import { Rollouts, type RunPart } from "../rollouts/service.ts"
import type { Run, State } from "./state.ts"
import { submitPolicy } from "./submit.ts"
import { hashOf } from "../records/hash.ts"
import { evaluate, record, trainStep } from "./step.ts"
import { logRow } from "../supervised/record.ts"

/** What must be equal for a run to resume. */
const configOf = <E, R>(options: Options<E, R>) => ({
  ...adapterOf(options.model),
  kind: "reinforcement learning",
  steps: options.steps,
  learning_rate: options.learningRate,
  adam: options.adam ?? {},
  seed: options.seed ?? 0,
  loss: options.loss ?? { name: "importance_sampling" },
  substeps: options.substeps ?? 1,
  constant_groups: options.constantGroups ?? "drop",
  loop: options.loop ?? { mode: "synchronous" },
  rollouts: options.rollouts ?? {},
  kl: options.kl,
  mismatch: options.mismatch,
  data: options.groups.fingerprint
})

const numberOf = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0)

/** The weights that a penalty draws to: those that are given, those of the checkpoint, or those of the start. */
const referenceOf = Effect.fnUntraced(function* (
  kl: NonNullable<Options["kl"]>,
  training: TrainingClient.TrainingClient,
  checkpoint: RunDirectory.Checkpoint | undefined
) {
  const known = kl.reference ?? checkpoint?.["reference_path"]
  if (typeof known === "string") return known
  const { path } = yield* Effect.flatMap(training.saveWeightsForSampler("reference"), Fiber.join)
  return path
})

/** The shapings of a run, that of its penalty first, and the path of the reference. */
const shapingOf = Effect.fnUntraced(function* <E, R>(
  { kl, shaping = [] }: Options<E, R>,
  training: TrainingClient.TrainingClient,
  checkpoint: RunDirectory.Checkpoint | undefined
) {
  if (kl === undefined) return { shaping, recorded: {} }
  const path = yield* referenceOf(kl, training, checkpoint)
  const service = yield* ServiceClient.ServiceClient
  const client = yield* service.createSamplingClient({ model_path: path })
  const penalty: Shaping<E | TinkerError.TinkerError, R> = klShaping(client, kl.coefficient, kl.discount)
  return { shaping: [penalty, ...shaping], recorded: { reference_path: path } }
})

/** The name of a run, and of its part that begins now. */
const partOf = Effect.fnUntraced(function* <E, R>({ directory }: Options<E, R>) {
  const path = yield* Path.Path
  // seeded random numbers would be those of the part before
  const now = yield* Clock.currentTimeNanos
  const random = yield* Random.nextIntBetween(0, 2 ** 31)
  const attempt = `${now.toString(36)}${random.toString(36)}`
  const run = directory === undefined ? attempt : hashOf(path.resolve(directory.path)).toString(36)
  const part: RunPart = { run, attempt }
  return part
})

const start = Effect.fnUntraced(function* <E, R>(options: Options<E, R>) {
  const metrics = yield* Metrics.Metrics
  const { checkpoint, directory, rows, training } = yield* open({
    model: options.model,
    directory: options.directory,
    threads: options.threads,
    config: configOf(options)
  })
  const finished = checkpoint?.batch ?? 0
  const { recorded, shaping } = yield* shapingOf(options, training, checkpoint)
  const now = yield* Clock.currentTimeMillis
  const rollouts = yield* Rollouts
  const part = yield* partOf(options)
  yield* rollouts.begin(part)
  const known = { options, metrics, training, directory, shaping, recorded, rollouts, part }
  const state: State = {
    rows: rows.slice(),
    finished,
    tokens: numberOf(checkpoint?.elapsed_tokens),
    earlierSeconds: numberOf(checkpoint?.elapsed_seconds),
    startMillis: now,
    lastMillis: now,
    agreed: false,
    policy: yield* Effect.flatten(submitPolicy(known, finished)),
    trained: [],
    checkpoint
  }
  const run: Run<E, R> = { ...known, state }
  return run
})

/** Steps that sample from the weights of the step before. */
const synchronous = Effect.fnUntraced(function* <E, R>(run: Run<E, R>, minibatches: number) {
  const { options, state } = run
  while (state.finished < options.steps) {
    const window = yield* Metrics.window
    const groups = yield* window.record(groupsAt(options, state.finished))
    if (groups.length === 0) return
    yield* Effect.scoped(
      Effect.flatMap(collectStep(run, groups, minibatches), (parts) => trainStep(run, window, parts))
    ).pipe(window.record)
  }
})

const evaluateAtEnd = Effect.fnUntraced(function* <E, R>(run: Run<E, R>) {
  if ((run.options.evaluations ?? []).length === 0) return {}
  const window = yield* Metrics.window
  const values = yield* window.record(evaluate(run, run.state.finished, true))
  yield* logRow(run, { ...values, step: run.state.finished }, window)
  return values
})

/** Saves what the run has at its end, if no checkpoint has it yet. */
const saveAtEnd = Effect.fnUntraced(function* <E, R>(run: Run<E, R>) {
  const { final = true, name = "final" } = run.options.checkpoints ?? {}
  const { checkpoint, finished } = run.state
  if (!final || (checkpoint?.batch === finished && checkpoint.final === true)) return
  yield* record(run, yield* Effect.flatten(submitSaves(run.training, "final", name, undefined)))
})

/** @internal */
export const run = <E, R>(options: Options<E, R>) =>
  Effect.gen(function* () {
    yield* validate(options)
    const current = yield* start(options)
    const from = current.state.finished
    const { loop = { mode: "synchronous" } } = options
    yield* loop.mode === "synchronous" ? synchronous(current, loop.minibatches ?? 1) : asynchronous(current, loop)
    const evaluated = yield* evaluateAtEnd(current)
    yield* saveAtEnd(current)
    const { directory } = current
    if (directory !== undefined && current.state.checkpoint?.final === true) yield* journal.remove(directory.path)
    const { checkpoint, finished, policy, rows } = current.state
    return { training: current.training, sampling: policy.sampling, from, steps: finished, rows, evaluated, checkpoint }
  }).pipe(Effect.withSpan("Rl.run"))
