/** Trains on the examples of a step: checks, passes, updates, saves, and the sampler of the next step. */
import * as Training from "@effect-tinker/api/Training"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Kl from "../../Kl.ts"
import * as LearningRate from "../../LearningRate.ts"
import { type Saved, submitDueSaves } from "../supervised/submit.ts"
import type { Example } from "../trajectories/model.ts"
import { dataFor } from "./data.ts"
import { OutputMissing, SamplerMismatch } from "./errors.ts"
import type { Options } from "./options.ts"
import type { Policy, Run } from "./state.ts"

type Output = Training.ForwardBackwardOutput

/** The logprobs of the targets of each example. */
const logprobsOf = (
  examples: ReadonlyArray<Example>,
  output: Output
): Effect.Effect<ReadonlyArray<ArrayLike<number>>, OutputMissing> =>
  Effect.suspend(() => {
    const read = Training.logprobsOf(
      output,
      examples.map(({ datum }) => datum)
    )
    return Either.isLeft(read) ? new OutputMissing(read.left) : Effect.succeed(read.right)
  })

/** How far the logprobs of outputs are from those of sampling. @internal */
export const divergenceOf = (
  passes: ReadonlyArray<{ readonly examples: ReadonlyArray<Example>; readonly output: Output }>
): Effect.Effect<Kl.Estimate, OutputMissing> =>
  Effect.gen(function* () {
    const pairs: Array<Kl.Pair> = []
    for (const { examples, output } of passes) {
      const logprobs = yield* logprobsOf(examples, output)
      for (const [i, { datum, mask }] of examples.entries()) {
        pairs.push({ sampled: datum.loss_fn_inputs.logprobs.data as Float32Array, other: logprobs[i]!, mask })
      }
    }
    return Kl.estimate(pairs)
  })

/** The logprobs of examples under the weights as they are. @internal */
export const trainerLogprobs = Effect.fnUntraced(function* (
  training: TrainingClient.TrainingClient,
  examples: ReadonlyArray<Example>
) {
  return yield* logprobsOf(examples, yield* Effect.flatten(submitForward(training, examples)))
})

/** Fails if what trains thinks otherwise of the tokens than what sampled them. @internal */
export const checkAgreement = Effect.fnUntraced(function* (
  training: TrainingClient.TrainingClient,
  examples: ReadonlyArray<Example>,
  tolerance: number
) {
  const output = yield* Effect.flatten(submitForward(training, examples))
  const { k1, k3, max } = yield* divergenceOf([{ examples, output }])
  if (Math.abs(k1) > tolerance || k3 > tolerance) yield* new SamplerMismatch({ k1, k3, max, tolerance })
})

/** A pass on its way. @internal */
export interface Pass {
  readonly examples: ReadonlyArray<Example>
  readonly output: Effect.Effect<Output, TinkerError.TinkerError>
}

/** Submits the pass of examples. @internal */
export const submitPass = <E, R>(
  { loss = { name: "importance_sampling" } }: Options<E, R>,
  training: TrainingClient.TrainingClient,
  examples: ReadonlyArray<Example>
): Effect.Effect<Pass, TinkerError.TinkerError> =>
  Effect.map(
    training.forwardBackward(dataFor(loss.name, examples), loss.name as string, loss.config),
    (future): Pass => ({ examples, output: Fiber.join(future) })
  )

/** Contiguous parts of about equal length; none is empty. @internal */
export const partsOf = <A>(all: ReadonlyArray<A>, count: number): ReadonlyArray<ReadonlyArray<A>> => {
  const parts = Math.max(1, Math.min(count, all.length))
  return Array.from({ length: parts }, (_, i) =>
    all.slice(Math.floor((i * all.length) / parts), Math.floor(((i + 1) * all.length) / parts))
  )
}

/** @internal */
export const submitUpdate = <E, R>(options: Options<E, R>, training: TrainingClient.TrainingClient, step: number) =>
  training.optimStep({
    eps: 1e-8,
    ...options.adam,
    learning_rate: LearningRate.at(options.learningRate, step, options.steps)
  })

const daySeconds = 86_400

/**
 * Submits what samples from the weights that hold so many steps, and returns the effect that waits for it. Where agents
 * or other processes sample from them too, they are kept under a name for a day.
 *
 * @internal
 */
export const submitPolicy = <E, R>({ options, part, rollouts, training }: Omit<Run<E, R>, "state">, version: number) =>
  Effect.gen(function* () {
    if (!rollouts.needsPaths && options.snapshots !== "saved") {
      const sampler = yield* Effect.fork(training.saveWeightsAndGetSamplingClient())
      return Effect.map(Fiber.join(sampler), (sampling): Policy => ({ sampling, version, path: undefined }))
    }
    const saved = yield* training.saveWeightsForSampler(`rollouts-${part.attempt}-${version}`, {
      ttl_seconds: daySeconds
    })
    return Effect.gen(function* () {
      const { path } = yield* Fiber.join(saved)
      const policy: Policy = { sampling: yield* training.createSamplingClient(path), version, path }
      return policy
    })
  })

/** Submits what comes behind the update of a step: the saves that are due, and the sampler of the next step. @internal */
export const submitBehind = <E, R>(run: Run<E, R>, step: number) =>
  Effect.gen(function* () {
    const { options, training } = run
    const saved: Effect.Effect<Saved | undefined, TinkerError.TinkerError> = yield* submitDueSaves(
      options,
      training,
      step
    )
    return { saved, policy: yield* submitPolicy(run, step + 1) }
  })

/** Submits a pass without gradients, for the logprobs of the weights as they are then. @internal */
export const submitForward = (
  training: TrainingClient.TrainingClient,
  examples: ReadonlyArray<Example>
): Effect.Effect<Effect.Effect<Output, TinkerError.TinkerError>, TinkerError.TinkerError> => {
  const data = examples.map(({ datum }) => ({
    ...datum,
    loss_fn_inputs: { target_tokens: datum.loss_fn_inputs.target_tokens }
  }))
  return Effect.map(training.forward(data, "cross_entropy"), (future) => Fiber.join(future))
}
