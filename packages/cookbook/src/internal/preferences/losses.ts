/** Losses of pairs, and the custom loss that they become. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as CustomLoss from "@effect-tinker/client/CustomLoss"
import * as Training from "@effect-tinker/api/Training"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import type * as Nll from "../../Nll.ts"
import type { Loss } from "../supervised/options.ts"

/**
 * An answer that is preferred, and one to the same prompt that is not. Their weights say which tokens count; use raw ones,
 * not means.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pair {
  readonly chosen: Nll.Example
  readonly rejected: Nll.Example
}

/**
 * The log ratios of a pair: `Σ weight · (logprob - logprob of the reference)` of each answer.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ratios {
  readonly chosen: number
  readonly rejected: number
}

/**
 * A loss of one pair: its value, and its derivatives by the two log ratios.
 *
 * @since 0.1.0
 * @category models
 */
export interface PairLoss {
  /** stored with the run, with its parameters */
  readonly name: string
  /** scales log ratios to the rewards that the rows report */
  readonly beta: number
  readonly at: (ratios: Ratios) => { readonly loss: number; readonly chosen: number; readonly rejected: number }
}

/** `log(1 + exp(x))` without overflow. */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))

/** @internal */
export const dpo = ({ beta = 0.1 }: { readonly beta?: number | undefined } = {}): PairLoss => ({
  name: `dpo(beta ${beta})`,
  beta,
  at: ({ chosen, rejected }) => {
    const x = beta * (chosen - rejected)
    const slope = -beta / (1 + Math.exp(x))
    return { loss: softplus(-x), chosen: slope, rejected: -slope }
  }
})

/** @internal */
export const ipo = ({ beta = 0.1 }: { readonly beta?: number | undefined } = {}): PairLoss => ({
  name: `ipo(beta ${beta})`,
  beta,
  at: ({ chosen, rejected }) => {
    const error = chosen - rejected - 1 / (2 * beta)
    return { loss: error ** 2, chosen: 2 * error, rejected: -2 * error }
  }
})

/** @internal */
export const hinge = ({ beta = 0.1 }: { readonly beta?: number | undefined } = {}): PairLoss => ({
  name: `hinge(beta ${beta})`,
  beta,
  at: ({ chosen, rejected }) => {
    const left = 1 - beta * (chosen - rejected)
    return left > 0 ? { loss: left, chosen: -beta, rejected: beta } : { loss: 0, chosen: 0, rejected: 0 }
  }
})

/** @internal */
export const interleave = (pairs: ReadonlyArray<Pair>): ReadonlyArray<Nll.Example> =>
  pairs.flatMap(({ chosen, rejected }) => [chosen, rejected])

const weighted = ({ loss_fn_inputs: { weights } }: Nll.Example, logprobs: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < weights.data.length; i++) {
    const weight = Number(weights.data[i])
    if (weight !== 0) sum += weight * logprobs[i]!
  }
  return sum
}

/** What computes logprobs: a sampling client of the reference. @internal */
export type Reference = Pick<SamplingClient.SamplingClient, "computeLogprobs">

/** The logprob of an answer under the reference. */
const referenceOf = (client: Reference, example: Nll.Example): Effect.Effect<number, TinkerError.TinkerError> => {
  const { data } = example.loss_fn_inputs.target_tokens
  const whole = ModelInput.append(example.model_input, ModelInput.text([Number(data[data.length - 1])]))
  return Effect.map(client.computeLogprobs(whole), (logprobs) => weighted(example, logprobs.subarray(1)))
}

/** Computes each answer once, however often it is asked for. @internal */
export const cached = (client: Reference) => {
  const known = new WeakMap<Nll.Example, number>()
  return (example: Nll.Example): Effect.Effect<number, TinkerError.TinkerError> =>
    Effect.suspend(() => {
      const value = known.get(example)
      if (value !== undefined) return Effect.succeed(value)
      return Effect.tap(referenceOf(client, example), (value) => void known.set(example, value))
    })
}

const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** Submits a pass without gradients, and returns the effect that waits for the logprobs of the answers. @internal */
export const submitForward = (training: TrainingClient.TrainingClient, batch: ReadonlyArray<Nll.Example>) =>
  Effect.map(training.forward(batch, "cross_entropy"), (future) =>
    Effect.flatMap(Fiber.join(future), (output) =>
      Either.match(Training.logprobsOf(output, batch), {
        onLeft: ({ path, reason }) => new TinkerError.DecodeError({ method: "forward", reason: `${path}: ${reason}` }),
        onRight: (logprobs) => Effect.succeed(batch.map((example, i) => weighted(example, logprobs[i]!)))
      })
    )
  )

/** The log ratios of interleaved pairs. @internal */
export const ratiosOf = (sums: ReadonlyArray<number>, references: ReadonlyArray<number>): ReadonlyArray<Ratios> => {
  const ratios = sums.map((sum, i) => sum - references[i]!)
  return Array.from({ length: ratios.length / 2 }, (_, i) => ({ chosen: ratios[2 * i]!, rejected: ratios[2 * i + 1]! }))
}

/** What rows say of a batch of pairs. @internal */
export const metricsOf = (all: ReadonlyArray<Ratios>, { beta }: Pick<PairLoss, "beta">) => ({
  accuracy: mean(all.map(({ chosen, rejected }) => (chosen > rejected ? 1 : 0))),
  margin: beta * mean(all.map(({ chosen, rejected }) => chosen - rejected)),
  chosen_reward: beta * mean(all.map(({ chosen }) => chosen)),
  rejected_reward: beta * mean(all.map(({ rejected }) => rejected)),
  num_pairs: all.length
})

/**
 * The mean over pairs of the loss and `nll` times the negative log-likelihood of the chosen answer. The data are pairs,
 * chosen before rejected.
 *
 * @internal
 */
export const customLoss = (
  loss: PairLoss,
  nll: number,
  references: ReadonlyArray<number>
): ((data: ReadonlyArray<Nll.Example>, logprobs: ReadonlyArray<CustomLoss.Logprobs>) => CustomLoss.Result) => {
  return (data, logprobs) => {
    const sums = data.map((example, i) => weighted(example, logprobs[i]!.data))
    const gradients: Array<Float32Array> = []
    const ratios: Array<Ratios> = []
    let total = 0
    const count = data.length / 2
    for (let i = 0; i < data.length; i += 2) {
      const pair = { chosen: sums[i]! - references[i]!, rejected: sums[i + 1]! - references[i + 1]! }
      const { chosen, loss: value, rejected } = loss.at(pair)
      ratios.push(pair)
      total += value - nll * sums[i]!
      for (const [at, slope] of [
        [i, chosen - nll],
        [i + 1, rejected]
      ] as const) {
        const weights = data[at]!.loss_fn_inputs.weights.data
        gradients.push(Float32Array.from(weights as Float32Array, (weight) => (slope * weight) / count))
      }
    }
    return { loss: total / count, gradients, metrics: metricsOf(ratios, loss) }
  }
}

/** The loss of supervised runs whose batches are interleaved pairs. @internal */
export const toLoss = (loss: PairLoss, nll: number, reference: Reference): Loss => {
  const logprobOf = cached(reference)
  return {
    name: nll === 0 ? loss.name : `${loss.name} + ${nll} nll`,
    submit: (training, batch) =>
      Effect.gen(function* () {
        // computed while the forward pass waits for its turn
        const references = yield* Effect.fork(Effect.forEach(batch, logprobOf, { concurrency: "unbounded" }))
        const future = yield* training.forwardBackwardCustom(batch, (data, logprobs) =>
          Effect.map(Fiber.join(references), (known) => customLoss(loss, nll, known)(data, logprobs))
        )
        return Fiber.join(future)
      })
  }
}
