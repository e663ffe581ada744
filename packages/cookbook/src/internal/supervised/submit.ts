/** Submits a step: what is measured before it, its pass, its update, and the saves behind it. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as Training from "@effect-tinker/api/Training"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as LearningRate from "../../LearningRate.ts"
import type * as Metrics from "../../Metrics.ts"
import type * as Nll from "../../Nll.ts"
import type * as RunDirectory from "../../RunDirectory.ts"
import type { Evaluation, Loss, Options, Values } from "./options.ts"

type Keep = Parameters<Evaluation["submit"]>[0]["keep"]

/** Where a run trains, and is recorded. @internal */
export interface Started {
  readonly training: TrainingClient.TrainingClient
  readonly directory: RunDirectory.RunDirectory | undefined
}

/** A batch on its way. @internal */
export interface Pending {
  readonly step: number
  readonly batch: ReadonlyArray<Nll.Example>
  readonly window: Metrics.Window
}

/** What a step brought. @internal */
export interface Finished extends Pending {
  readonly output: Training.ForwardBackwardOutput
  readonly update: Training.OptimStepResponse
  readonly learningRate: number
  readonly values: Values
  readonly saved: Saved | undefined
}

/** Paths of a checkpoint; a rolling one may have failed. @internal */
export interface Saved {
  readonly kind: "periodic" | "rolling" | "final"
  readonly name: string
  readonly state: Exit.Exit<string, TinkerError.TinkerError>
  readonly sampler: string | undefined
}

const weekSeconds = 604_800
const rollingSeconds = 7200

/** Random numbers that depend on the seed of the run and the step alone. @internal */
export const seeded =
  <E, R>({ seed = 0 }: Options<E, R>, what: string, step: number) =>
  <A, E2, R2>(effect: Effect.Effect<A, E2, R2>): Effect.Effect<A, E2, R2> =>
    Effect.withRandom(effect, Random.make(`${what} of step ${step}, seed ${seed}`))

/** Submits evaluations, and returns the effect that waits for all of their values. @internal */
export const submitEvaluations = Effect.fnUntraced(function* <E, R>(
  options: Options<E, R>,
  evaluations: ReadonlyArray<Evaluation<E, R>>,
  { directory, training }: Started,
  step: number
) {
  const keep: Keep = (sample) => directory?.sample({ step, ...sample }) ?? Effect.void
  const waiting = yield* Effect.forEach(evaluations, ({ submit }, i) =>
    Effect.map(submit({ training, step, keep }), seeded(options, `evaluation ${i}`, step)).pipe(
      seeded(options, `evaluation ${i}`, step)
    )
  )
  return Effect.map(Effect.all(waiting, { concurrency: "unbounded" }), (all): Values => Object.assign({}, ...all))
})

const dueOf = <E, R>({ evaluations = [] }: Options<E, R>, step: number): ReadonlyArray<Evaluation<E, R>> =>
  evaluations.filter(({ every }) => step % every === 0)

const pathOf = (future: Fiber.Fiber<{ readonly path: string }, TinkerError.TinkerError>) =>
  Effect.map(Fiber.join(future), ({ path }) => path)

/** Submits the saves of a checkpoint, and returns the effect that waits for their paths. @internal */
export const submitSaves = Effect.fnUntraced(function* (
  training: TrainingClient.TrainingClient,
  kind: Saved["kind"],
  name: string,
  ttl_seconds: number | undefined
) {
  const options = ttl_seconds === undefined ? {} : { ttl_seconds }
  // a rolling checkpoint of the same step may be there
  const state = yield* training.saveState(name, { ...options, overwrite: true })
  if (kind === "rolling") {
    return Effect.map(Effect.exit(pathOf(state)), (state): Saved => ({ kind, name, state, sampler: undefined }))
  }
  const sampler = yield* training.saveWeightsForSampler(name, options)
  return Effect.gen(function* () {
    const path = yield* pathOf(state)
    return { kind, name, state: yield* Effect.exit(Effect.succeed(path)), sampler: yield* pathOf(sampler) } as Saved
  })
})

/** The name of the checkpoint that holds so many steps. @internal */
export const checkpointName = (steps: number): string => String(steps).padStart(6, "0")

/** Submits the saves that are due behind a step; the final one is saved when the run ends. @internal */
export const submitDueSaves = (
  { checkpoints: { every, rolling, ttlSeconds = weekSeconds } = {}, steps }: Pick<Options, "checkpoints" | "steps">,
  training: TrainingClient.TrainingClient,
  step: number
) => {
  const done = step + 1
  if (done >= steps) return Effect.succeed(Effect.succeed(undefined))
  if (every !== undefined && done % every === 0) {
    return submitSaves(training, "periodic", checkpointName(done), ttlSeconds)
  }
  return rolling !== undefined && done % rolling.every === 0
    ? submitSaves(training, "rolling", checkpointName(done), rolling.ttlSeconds ?? rollingSeconds)
    : Effect.succeed(Effect.succeed(undefined))
}

const submitPass = <E, R>(
  { loss }: Options<E, R>,
  training: TrainingClient.TrainingClient,
  batch: ReadonlyArray<Nll.Example>
): ReturnType<Loss<E, R>["submit"]> =>
  loss === undefined
    ? Effect.map(training.forwardBackward(batch, "cross_entropy"), (future) => Fiber.join(future))
    : loss.submit(training, batch)

/** Submits a step, and returns the effect that waits for what it brings. @internal */
export const submitStep = <E, R>(
  options: Options<E, R>,
  started: Started,
  pending: Pending,
  context: Context.Context<R>
) =>
  Effect.gen(function* () {
    const { batch, step } = pending
    const { training } = started
    const learningRate = LearningRate.at(options.learningRate, step, options.steps)
    const values = yield* submitEvaluations(options, dueOf(options, step), started, step)
    const forward = yield* submitPass(options, training, batch)
    const update = yield* training.optimStep({ eps: 1e-8, ...options.adam, learning_rate: learningRate })
    const saved = yield* submitDueSaves(options, training, step)
    return Effect.all(
      { output: forward, update: Fiber.join(update), values, saved },
      { concurrency: "unbounded" }
    ).pipe(
      Effect.map((brought): Finished => ({ ...pending, learningRate, ...brought })),
      Effect.provide(context),
      pending.window.record
    )
  }).pipe(pending.window.record)
