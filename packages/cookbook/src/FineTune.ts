/**
 * Supervised fine-tuning with a cross-entropy loss. It submits each step before it awaits the one before, evaluates
 * held-out examples before and after, and saves states to resume from.
 *
 * @since 0.1.0
 */
import type * as Datum from "@effect-tinker/api/Datum"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Training from "@effect-tinker/api/Training"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
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
  /** counted from 1 */
  readonly step: number
  /** loss of the batch per weighted token; `undefined` if the service reports nothing that it follows from */
  readonly loss: number | undefined
  readonly learningRate: number
  /** number of tokens that the step trained on */
  readonly tokens: number
  /** seconds since training started */
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
  /** the number of steps that an earlier run has done, when this one resumes it; 0 by default */
  readonly from?: number | undefined
  readonly batchSize: number
  /** learning rate at the first step; it decays linearly to 0 */
  readonly learningRate: number
  readonly seed: number
  /** runs after each step, in order */
  readonly onStep: (step: Step) => Effect.Effect<void, E, R>
  /** saves the state after every `saveEvery` steps, and passes its path to `onSave`; by default it saves none */
  readonly saveEvery?: number | undefined
  readonly onSave?: ((step: number, path: string) => Effect.Effect<void, E, R>) | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Result {
  /** loss of each step, where it is known */
  readonly losses: ReadonlyArray<number | undefined>
  /** loss per weighted token on the held-out examples; `undefined` if there are none, or it is not known */
  readonly heldOutBefore: number | undefined
  readonly heldOutAfter: number | undefined
}

/**
 * The sum of the weights of all target tokens.
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

/** The learning rate of a step, which is counted from 0. */
const learningRateAt = (peak: number, step: number, steps: number): number => peak * (1 - step / steps)

/**
 * The loss of a pass per weighted token; `undefined` if no token has weight, or the output has nothing that the loss
 * follows from (`Training.lossSum`).
 *
 * @since 0.1.0
 * @category getters
 */
export const lossPerToken = (
  output: Training.ForwardBackwardOutput,
  examples: ReadonlyArray<Example>
): number | undefined => {
  const weight = weightOf(examples)
  return weight === 0
    ? undefined
    : Option.getOrUndefined(Option.map(Training.lossSum(output, examples, "cross_entropy"), (loss) => loss / weight))
}

/** Says that a loss is not known, and why. */
const warnOfLoss = (what: string, { metrics }: Training.ForwardBackwardOutput): Effect.Effect<void> =>
  Effect.logWarning(
    metrics["loss:sum"] === undefined
      ? `the loss of ${what} is not known: the service reports no loss:sum, elementwise_loss or logprobs`
      : `the loss of ${what} is not a finite number: lower the learning rate if the run has diverged`
  )

/**
 * The loss per weighted token, without gradients. If it is not known, a warning says why.
 *
 * @since 0.1.0
 * @category running
 */
export const evaluate = (
  training: TrainingClient.TrainingClient,
  examples: ReadonlyArray<Example>
): Effect.Effect<number | undefined, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    const output = yield* Fiber.join(yield* training.forward(examples, "cross_entropy"))
    const loss = lossPerToken(output, examples)
    if (loss === undefined) yield* warnOfLoss("the held-out examples", output)
    return loss
  })

/** Submits the operations of a step, which is counted from 0. */
const submitStep = Effect.fnUntraced(function* <E, R>(
  { learningRate: peak, saveEvery, steps, training }: Options<E, R>,
  batches: Batches.Batches<Example>,
  step: number
) {
  const batch = yield* batches.at(step)
  const learningRate = learningRateAt(peak, step, steps)
  const forward = yield* training.forwardBackward(batch, "cross_entropy")
  const update = yield* training.optimStep({ learning_rate: learningRate })
  const isSaved = saveEvery !== undefined && (step + 1) % saveEvery === 0 && step + 1 < steps
  const save = isSaved
    ? yield* training.saveState(`step-${String(step + 1).padStart(6, "0")}`, { overwrite: true })
    : undefined
  return { step: step + 1, batch, learningRate, forward, update, save }
})

type SubmittedStep = Effect.Effect.Success<ReturnType<typeof submitStep>>

/** Awaits a submitted step, and reports it. Succeeds with its loss. The first one that is not known is warned of. */
const finishStep = Effect.fnUntraced(function* <E, R>(
  { onSave, onStep }: Options<E, R>,
  { batch, forward, learningRate, save, step, update }: SubmittedStep,
  startMillis: number,
  losses: ReadonlyArray<number | undefined>
) {
  const [output] = yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
  const loss = lossPerToken(output, batch)
  if (loss === undefined && !losses.includes(undefined)) yield* warnOfLoss(`step ${step}`, output)
  const seconds = ((yield* Clock.currentTimeMillis) - startMillis) / 1000
  yield* onStep({ step, loss, learningRate, tokens: tokensOf(batch), seconds })
  if (save !== undefined) {
    const { path } = yield* Fiber.join(save)
    if (onSave !== undefined) yield* onSave(step, path)
  }
  return loss
})

/**
 * Trains. A resumed run has the same batches and learning rates as one without interruption.
 *
 * @since 0.1.0
 * @category running
 */
export const run = <E, R>(options: Options<E, R>): Effect.Effect<Result, E | TinkerError.TinkerError, R> =>
  Effect.gen(function* () {
    const { from = 0, heldOut, seed, steps, training } = options
    const batches = Batches.make(options.examples, { size: options.batchSize, seed })
    const evaluateHeldOut = Effect.suspend(() =>
      heldOut.length === 0 ? Effect.succeed(undefined) : evaluate(training, heldOut)
    )
    const heldOutBefore = yield* evaluateHeldOut
    const startMillis = yield* Clock.currentTimeMillis
    const losses: Array<number | undefined> = []
    let next = from < steps ? yield* submitStep(options, batches, from) : undefined
    while (next !== undefined) {
      const current: SubmittedStep = next
      // submits the next step before it awaits this one
      next = current.step < steps ? yield* submitStep(options, batches, current.step) : undefined
      losses.push(yield* finishStep(options, current, startMillis, losses))
    }
    return { losses, heldOutBefore, heldOutAfter: yield* evaluateHeldOut }
  })
