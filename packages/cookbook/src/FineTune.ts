/**
 * Supervised fine-tuning: passes and updates over batches in an order that a seed decides, one step submitted ahead of
 * the one that is awaited, with the loss on held-out data before and after, and checkpoints to go on from.
 *
 * @since 0.1.0
 */
import type * as Datum from "@effect-tinker/api/Datum"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Batches from "./Batches.ts"

/**
 * @since 0.1.0
 * @category models
 */
export type Example = Datum.For<"cross_entropy">

/**
 * @since 0.1.0
 * @category models
 */
export interface Step {
  /** from 1 */
  readonly step: number
  /** of the batch, divided by its number of weighted tokens */
  readonly loss: number
  readonly learningRate: number
  /** that the step trained on */
  readonly tokens: number
  /** since training began */
  readonly seconds: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<E, R> {
  readonly training: TrainingClient.TrainingClient
  readonly examples: ReadonlyArray<Example>
  readonly heldOut: ReadonlyArray<Example>
  readonly steps: number
  /** steps that are done already, by a run that this one goes on from; 0 */
  readonly from?: number | undefined
  readonly batchSize: number
  /** at the first step; it falls to 0 in a straight line */
  readonly learningRate: number
  readonly seed: number
  /** called after each step, in order */
  readonly onStep: (step: Step) => Effect.Effect<void, E, R>
  /** saves the state to go on from after so many steps, and tells its path; never by default */
  readonly saveEvery?: number | undefined
  readonly onSave?: ((step: number, path: string) => Effect.Effect<void, E, R>) | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Result {
  /** of each step */
  readonly losses: ReadonlyArray<number>
  /** per weighted token, on the held-out examples; absent where there are none */
  readonly heldOutBefore: number | undefined
  readonly heldOutAfter: number | undefined
}

/**
 * The number of tokens that examples train on, with their weights.
 *
 * @since 0.1.0
 * @category getters
 */
export const weightOf = (examples: ReadonlyArray<Example>): number =>
  examples.reduce(
    (sum, { loss_fn_inputs: { weights } }) => sum + Array.from(weights.data, Number).reduce((a, b) => a + b, 0),
    0
  )

const tokensOf = (examples: ReadonlyArray<Example>): number =>
  examples.reduce((sum, { loss_fn_inputs: { target_tokens } }) => sum + target_tokens.data.length, 0)

/** The learning rate of a step, counted from 0. */
const rateOf = (peak: number, step: number, steps: number): number => peak * (1 - step / steps)

/**
 * The loss per weighted token; no gradient is kept.
 *
 * @since 0.1.0
 * @category running
 */
export const evaluate = (
  training: TrainingClient.TrainingClient,
  examples: ReadonlyArray<Example>
): Effect.Effect<number, TinkerError.TinkerError> =>
  Effect.map(
    Effect.flatMap(training.forward(examples, "cross_entropy"), Fiber.join),
    ({ metrics }) => (metrics["loss:sum"] ?? Number.NaN) / weightOf(examples)
  )

/**
 * Trains; batches and learning rates of a run that goes on are those of one that never stopped.
 *
 * @since 0.1.0
 * @category running
 */
export const run = <E, R>(options: Options<E, R>): Effect.Effect<Result, E | TinkerError.TinkerError, R> =>
  Effect.gen(function* () {
    const { heldOut, seed, steps, training } = options
    const from = options.from ?? 0
    const batches = Batches.make(options.examples, { size: options.batchSize, seed })
    const onHeldOut = Effect.suspend(() =>
      heldOut.length === 0 ? Effect.succeed(undefined) : evaluate(training, heldOut)
    )
    const heldOutBefore = yield* onHeldOut
    const begun = yield* Clock.currentTimeMillis

    const submit = Effect.fnUntraced(function* (step: number) {
      const batch = yield* batches.at(step)
      const learningRate = rateOf(options.learningRate, step, steps)
      const forward = yield* training.forwardBackward(batch, "cross_entropy")
      const update = yield* training.optimStep({ learning_rate: learningRate })
      const saves = options.saveEvery !== undefined && (step + 1) % options.saveEvery === 0 && step + 1 < steps
      const save = saves
        ? yield* training.saveState(`step-${String(step + 1).padStart(6, "0")}`, { overwrite: true })
        : undefined
      return { batch, learningRate, forward, update, save }
    })

    const losses: Array<number> = []
    let next = from < steps ? yield* submit(from) : undefined
    for (let done = from + 1; next !== undefined; done++) {
      const { batch, forward, learningRate, save, update } = next
      // the next step is on its way before this one is awaited
      next = done < steps ? yield* submit(done) : undefined
      const { metrics } = yield* Fiber.join(forward)
      yield* Fiber.join(update)
      const loss = (metrics["loss:sum"] ?? Number.NaN) / weightOf(batch)
      losses.push(loss)
      const seconds = ((yield* Clock.currentTimeMillis) - begun) / 1000
      yield* options.onStep({ step: done, loss, learningRate, tokens: tokensOf(batch), seconds })
      if (save !== undefined) {
        const { path } = yield* Fiber.join(save)
        if (options.onSave !== undefined) yield* options.onSave(done, path)
      }
    }
    return { losses, heldOutBefore, heldOutAfter: yield* onHeldOut }
  })
