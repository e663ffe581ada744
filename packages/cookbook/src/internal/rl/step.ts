/** One step: from groups to the update, its row and its checkpoint. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as LearningRate from "../../LearningRate.ts"
import type * as Metrics from "../../Metrics.ts"
import { finite, type Row } from "../metrics/row.ts"
import { logRow, recordSaved } from "../supervised/record.ts"
import type { Saved } from "../supervised/submit.ts"
import type { Example, Group } from "../trajectories/model.ts"
import * as data from "./data.ts"
import { AlarmRaised } from "./errors.ts"
import type { Options } from "./options.ts"
import * as rows from "./rows.ts"
import type { Collected, Part, Run } from "./state.ts"
import * as submit from "./submit.ts"

/** Random numbers that depend on the seed of the run and the step alone. @internal */
export const seeded =
  ({ seed = 0 }: Pick<Options, "seed">, what: string, step: number) =>
  <A, E2, R2>(effect: Effect.Effect<A, E2, R2>): Effect.Effect<A, E2, R2> =>
    Effect.withRandom(effect, Random.make(`${what} of step ${step}, seed ${seed}`))

/** Evaluations that are due before a step. @internal */
export const evaluate = Effect.fnUntraced(function* <E, R>(run: Run<E, R>, step: number, isLast: boolean) {
  const { options, state, training } = run
  const due = (options.evaluations ?? []).filter(({ every }) => isLast || step % every === 0)
  const values = yield* Effect.forEach(due, (evaluation, i) =>
    evaluation
      .run({ step, training, sampling: state.policy.sampling })
      .pipe(seeded(options, `evaluation ${i}`, step), Effect.withSpan("evaluation"))
  )
  const all: { readonly [name: string]: number | undefined } = Object.assign({}, ...values)
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, finite(value)]))
})

/** @internal */
export const record = Effect.fnUntraced(function* <E, R>(
  run: Run<E, R>,
  saved: Saved,
  more: { readonly [name: string]: unknown } = {}
) {
  const { directory, options, recorded, state } = run
  const seconds = state.earlierSeconds + ((yield* Clock.currentTimeMillis) - state.startMillis) / 1000
  const place = { directory, before: state.checkpoint, remove: options.checkpoints?.rolling?.remove }
  state.checkpoint = yield* recordSaved(place, saved, {
    ...recorded,
    ...more,
    batch: state.finished,
    epoch: 0,
    elapsed_tokens: state.tokens,
    elapsed_seconds: seconds
  })
  yield* forget(run)
})

/** Drops the episodes of groups that will not be trained again. */
const forget = <E, R>({ part, rollouts, state }: Run<E, R>) =>
  Effect.suspend(() => {
    const { trained } = state
    state.trained = []
    const keys = trained.map(({ group, step, version }) => ({ group, step, version }))
    return keys.length === 0 ? Effect.void : rollouts.forget(part, keys)
  })

const checkAlarms = <E, R>({ alarms = [] }: Options<E, R>, row: Row) =>
  Effect.forEach(alarms, ({ above, below, metric }) => {
    const value = row[metric]
    if (typeof value !== "number") return Effect.void
    const bound =
      above !== undefined && value > above ? above : below !== undefined && value < below ? below : undefined
    return bound === undefined ? Effect.void : new AlarmRaised({ step: row.step, metric, value, bound })
  })

/** The best and the worst episode of a step, and one at random, for a reader. */
const keepSamples = Effect.fnUntraced(function* <E, R>(run: Run<E, R>, step: number, groups: ReadonlyArray<Group>) {
  const { directory, options } = run
  const { decode } = options
  if (directory === undefined || decode === undefined) return
  const all = groups.flatMap((group) => {
    const rewards = rows.totalRewards(group)
    return group.trajectories.flatMap(({ stop, turns }, i) => {
      const last = turns.at(-1)
      return last === undefined ? [] : [{ reward: rewards[i]!, stop, last }]
    })
  })
  if (all.length === 0) return
  const sorted = all.slice().sort((a, b) => a.reward - b.reward)
  const random = yield* Effect.map(Random.nextIntBetween(0, all.length), (i) => all[i]!).pipe(
    seeded(options, "sample", step)
  )
  const kept = [
    ["best", sorted.at(-1)!],
    ["worst", sorted[0]!],
    ["random", random]
  ] as const
  for (const [name, { last, reward, stop }] of kept) {
    const given = last.observation.chunks.map((chunk) =>
      chunk.type === "encoded_text" ? decode(chunk.tokens) : `<${chunk.type}>`
    )
    const text = `[${name}: reward ${reward}, ${stop}] ${decode(last.action.tokens)}`
    yield* directory.sample({ step, prompt: given.join(""), text })
  }
})

const lagOf = (collected: ReadonlyArray<Collected>, step: number): { readonly [name: string]: number } => {
  const lags = collected.map(({ version }) => step - version)
  if (lags.length === 0) return {}
  return {
    "lag/max": Math.max(...lags),
    "lag/mean": lags.reduce((sum, lag) => sum + lag, 0) / lags.length,
    "lag/min": Math.min(...lags)
  }
}

/** Leaves out what sampler and trainer disagree on, if asked: a further pass says what the trainer thinks. */
const maskMismatches = Effect.fnUntraced(function* <E, R>(
  { options: { mismatch }, training }: Run<E, R>,
  built: Pick<Trained, "examples" | "metrics">
) {
  if (mismatch === undefined || built.examples.length === 0) return built
  const logprobs = yield* submit.trainerLogprobs(training, built.examples)
  const { examples, metrics } = data.withoutMismatches(mismatch, built.examples, logprobs)
  return { examples, metrics: { ...built.metrics, ...metrics } }
})

/** Builds the examples of groups, and submits their passes. */
const submitPart = Effect.fnUntraced(function* <E, R>(
  run: Run<E, R>,
  step: number,
  collected: ReadonlyArray<Collected>
) {
  const { options, state, training } = run
  const built = data.examplesOf(
    options,
    collected.map(({ episodes }) => episodes)
  )
  const shaped = yield* data.shape(run.shaping, built)
  const { agreement = 0.01 } = options
  // what other weights sampled may differ
  const own = collected.filter(({ isKept, version }) => isKept !== true && version === step)
  const examples =
    own.length === collected.length
      ? shaped.examples
      : data.examplesOf(
          options,
          own.map(({ episodes }) => episodes)
        )
  if (!state.agreed && examples.length > 0) {
    yield* submit.checkAgreement(training, examples, agreement)
    state.agreed = true
  }
  const kept = yield* maskMismatches(run, shaped)
  const parts = submit.partsOf(kept.examples, options.substeps ?? 1).filter((part) => part.length > 0)
  return { ...kept, collected, parts }
})

interface Trained {
  readonly examples: ReadonlyArray<Example>
  readonly collected: ReadonlyArray<Collected>
  readonly metrics: { readonly [name: string]: number }
}

const rowOf = Effect.fnUntraced(function* <E, R>(
  { options }: Run<E, R>,
  step: number,
  { collected, examples, metrics }: Trained
) {
  const tokens = examples.reduce((sum, { mask }) => sum + mask.length, 0)
  const groups = collected.map(({ episodes }) => episodes)
  return {
    ...metrics,
    ...rows.episodes(groups),
    ...lagOf(collected, step),
    progress: Math.min((step + 1) / options.steps, 1),
    learning_rate: LearningRate.at(options.learningRate, step, options.steps),
    num_sequences: examples.length,
    num_tokens: tokens,
    num_loss_tokens: data.trainedTokens(examples)
  }
})

/** The mean of each metric over the parts of a step that have it, by their numbers of examples. */
const meanMetrics = (parts: ReadonlyArray<Trained>): Trained["metrics"] => {
  const names = new Set(parts.flatMap(({ metrics }) => Object.keys(metrics)))
  return Object.fromEntries(
    Array.from(names, (name) => {
      const having = parts.filter(({ metrics }) => name in metrics)
      const count = having.reduce((sum, { examples }) => sum + examples.length, 0)
      const weighted = having.reduce((sum, { examples, metrics }) => sum + metrics[name]! * examples.length, 0)
      return [name, count === 0 ? having[0]!.metrics[name]! : weighted / count]
    })
  )
}

/** Waits for the groups of a part, or fails when a pass that was submitted before has failed. */
const awaitPart = <E, R>(part: Part<E, R>, passes: ReadonlyArray<submit.Pass>) =>
  Effect.raceFirst(
    part,
    Effect.andThen(
      Effect.forEach(passes, ({ output }) => output, { concurrency: "unbounded", discard: true }),
      Effect.never
    )
  )

/** Submits the passes and updates of all parts, and what comes behind them. */
const submitStep = Effect.fnUntraced(function* <E, R>(run: Run<E, R>, step: number, parts: ReadonlyArray<Part<E, R>>) {
  const { options, training } = run
  const passes: Array<submit.Pass> = []
  const updates: Array<Effect.Effect<unknown, TinkerError.TinkerError>> = []
  const update = Effect.map(
    submit.submitUpdate(options, training, step),
    (future) => void updates.push(Fiber.join(future))
  )
  const trained: Array<Trained> = []
  for (const part of parts) {
    const built = yield* submitPart(run, step, yield* awaitPart(part, passes))
    trained.push(built)
    for (const examples of built.parts) {
      passes.push(yield* submit.submitPass(options, training, examples))
      // every part of a step but the last has an update of its own only as a substep
      if ((options.substeps ?? 1) > 1) yield* update
    }
  }
  if ((options.substeps ?? 1) === 1 && passes.length > 0) yield* update
  if (passes.length === 0) yield* Effect.logWarning(`step ${step} has nothing to train on: no episode sampled a token`)
  const merged: Trained = {
    examples: trained.flatMap(({ examples }) => examples),
    collected: trained.flatMap(({ collected }) => collected),
    metrics: meanMetrics(trained)
  }
  const post = options.postKl === true ? yield* submit.submitForward(training, merged.examples) : undefined
  return { passes, updates, merged, post, behind: yield* submit.submitBehind(run, step) }
})

/**
 * A step of groups that come in parts. Each part's pass is submitted as soon as its groups are there. `more` are keys of
 * the checkpoint.
 *
 * @internal
 */
export const trainStep = Effect.fnUntraced(function* <E, R>(
  run: Run<E, R>,
  window: Metrics.Window,
  parts: ReadonlyArray<Part<E, R>>,
  more: () => { readonly [name: string]: unknown } = () => ({})
) {
  const { options, state } = run
  const step = state.finished
  const evaluated = yield* evaluate(run, step, false)
  const submitted = yield* submitStep(run, step, parts)
  const passes = yield* Effect.forEach(
    submitted.passes,
    ({ examples, output }) => Effect.map(output, (output) => ({ examples, output })),
    { concurrency: "unbounded" }
  )
  yield* Effect.all(submitted.updates, { concurrency: "unbounded", discard: true })
  const divergence = rows.divergence(yield* submit.divergenceOf(passes))
  const post = submitted.post === undefined ? {} : yield* postDivergence(submitted.merged.examples, submitted.post)
  const described = yield* rowOf(run, step, submitted.merged)
  const row: Row = { ...described, ...divergence, ...post, ...evaluated, step }
  state.policy = yield* submitted.behind.policy
  const saved = yield* submitted.behind.saved
  state.finished = step + 1
  state.tokens += described.num_tokens
  state.trained = [...state.trained, ...submitted.merged.collected]
  yield* keepSamples(
    run,
    step,
    submitted.merged.collected.map(({ episodes }) => episodes)
  )
  yield* logRow(run, row, window)
  yield* checkAlarms(options, row)
  if (saved !== undefined) yield* record(run, saved, more())
  // nothing brings back what no checkpoint will have
  else if (options.checkpoints?.every === undefined && options.checkpoints?.rolling === undefined) yield* forget(run)
})

const postDivergence = (examples: ReadonlyArray<Example>, post: submit.Pass["output"]) =>
  Effect.gen(function* () {
    const { k1, k2, k3 } = yield* submit.divergenceOf([{ examples, output: yield* post }])
    return { "optim/kl_pre_post_v1": k1, "optim/kl_pre_post_v2": k2, "optim/kl_pre_post_v3": k3 }
  })
