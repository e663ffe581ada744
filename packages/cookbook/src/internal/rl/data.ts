/** From groups to the data of a step: advantages, groups that teach nothing, what is added by token. */
import type * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TensorData from "@effect-tinker/api/TensorData"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as Effect from "effect/Effect"
import * as Advantages from "../../Advantages.ts"
import { toExamples } from "../trajectories/data.ts"
import { discountedSums } from "../trajectories/discount.ts"
import type { Example, Group } from "../trajectories/model.ts"
import type { Mismatch, Options } from "./options.ts"
import { totalRewards } from "./rows.ts"

/** The examples of groups with their advantages. @internal */
export const examplesOf = <E, R>(
  { advantages = Advantages.centred, constantGroups = "drop" }: Pick<Options<E, R>, "advantages" | "constantGroups">,
  groups: ReadonlyArray<Group>
): ReadonlyArray<Example> => {
  const rewards = groups.map(totalRewards)
  const estimated = advantages(rewards)
  const teaching = groups.flatMap((_, i) =>
    constantGroups === "keep" || !Advantages.isConstant(rewards[i]!) ? [i] : []
  )
  // a step of no data is no step: one group keeps the loop as it is
  const kept = teaching.length === 0 && groups.length > 0 ? [0] : teaching
  return kept.flatMap((i) =>
    groups[i]!.trajectories.flatMap((trajectory, member) => toExamples(trajectory, estimated[i]![member]!))
  )
}

const add = ({ datum, mask }: Example, added: ArrayLike<number>): Example => {
  const advantages = Float32Array.from(datum.loss_fn_inputs.advantages.data, Number)
  for (let at = 0; at < advantages.length; at++) if (mask[at]! > 0) advantages[at]! += added[at]!
  return {
    mask,
    datum: { ...datum, loss_fn_inputs: { ...datum.loss_fn_inputs, advantages: TensorData.float32(advantages) } }
  }
}

/** Applies shapings one after the other; each sees what the one before has made. @internal */
export const shape = Effect.fnUntraced(function* <E, R>(
  shaping: ReadonlyArray<NonNullable<Options<E, R>["shaping"]>[number]>,
  examples: ReadonlyArray<Example>
) {
  let current = examples
  let metrics: { readonly [name: string]: number } = {}
  for (const shaping_ of shaping) {
    const { added, metrics: more } = yield* shaping_(current)
    current = current.map((example, i) => add(example, added[i] ?? []))
    metrics = { ...metrics, ...more }
  }
  return { examples: current, metrics }
})

/** The logprobs of the targets of an example under another model. */
const logprobsUnder = (client: Pick<SamplingClient.SamplingClient, "computeLogprobs">, { datum }: Example) => {
  const { data } = datum.loss_fn_inputs.target_tokens
  const last = Number(data[data.length - 1])
  const whole = ModelInput.append(datum.model_input, ModelInput.text([last]))
  return Effect.map(client.computeLogprobs(whole), (logprobs) => logprobs.subarray(1))
}

const samplerLogprobs = ({ datum }: Example): ArrayLike<number> => datum.loss_fn_inputs.logprobs.data as Float32Array

/** The logprob of each trained token when sampled minus that under another model; 0 elsewhere. */
const differences = (example: Example, other: ArrayLike<number>): Float32Array => {
  const sampled = samplerLogprobs(example)
  return example.mask.map((flag, at) => (flag > 0 ? sampled[at]! - other[at]! : 0))
}

const sum = (values: Iterable<number>): number => {
  let total = 0
  for (const value of values) total += value
  return total
}

/** The number of trained tokens. @internal */
export const trainedTokens = (examples: ReadonlyArray<Example>): number =>
  sum(examples.map(({ mask }) => sum(mask.map((flag) => (flag > 0 ? 1 : 0)))))

/** The shaping that draws the policy to a reference. @internal */
export const klShaping =
  (client: Pick<SamplingClient.SamplingClient, "computeLogprobs">, coefficient: number, discount = 0) =>
  (examples: ReadonlyArray<Example>) =>
    Effect.map(
      Effect.forEach(examples, (example) => logprobsUnder(client, example), { concurrency: "unbounded" }),
      (reference) => {
        const all = examples.map((example, i) => differences(example, reference[i]!))
        const mean = sum(all.map(sum)) / Math.max(1, trainedTokens(examples))
        return {
          added: all.map((values, i) => {
            const penalties = values.map((value) => coefficient * (mean - value))
            return discountedSums(penalties, examples[i]!.mask, discount)
          }),
          metrics: { kl_policy_base: mean }
        }
      }
    )

/** Which tokens of an example are too far apart: 1 at those. */
const mismatches = (options: Mismatch, { datum, mask }: Example, trained: ArrayLike<number>): Float32Array => {
  const sampled = datum.loss_fn_inputs.logprobs.data as Float32Array
  const advantages = datum.loss_fn_inputs.advantages.data as Float32Array
  if (options.by === "token") {
    const { above = 0.2 } = options
    return mask.map((flag, at) => {
      if (!(flag > 0)) return 0
      const moved = Math.exp(trained[at]!) - Math.exp(sampled[at]!)
      return (advantages[at]! > 0 ? moved > above : moved < -above) ? 1 : 0
    })
  }
  const [low, high] = options.ratio
  let logRatio = 0
  mask.forEach((flag, at) => (logRatio += flag > 0 ? trained[at]! - sampled[at]! : 0))
  const ratio = Math.exp(logRatio)
  const isKept = ratio >= low && ratio <= high
  return mask.map((flag) => (flag > 0 && !isKept ? 1 : 0))
}

/** The examples without what sampler and trainer disagree on, and the share of it. @internal */
export const withoutMismatches = (
  options: Mismatch,
  examples: ReadonlyArray<Example>,
  trained: ReadonlyArray<ArrayLike<number>>
): { readonly examples: ReadonlyArray<Example>; readonly metrics: { readonly [name: string]: number } } => {
  const masks = examples.map((example, i) => mismatches(options, example, trained[i]!))
  const count = sum(masks.map(sum))
  return {
    examples: examples.map((example, i) => {
      const { advantages } = example.datum.loss_fn_inputs
      return add(
        example,
        masks[i]!.map((flag, at) => (flag > 0 ? -Number(advantages.data[at]) : 0))
      )
    }),
    metrics: { "optim/masked_tokens": count / Math.max(1, trainedTokens(examples)) }
  }
}

/** The data in the form that a loss takes. @internal */
export const dataFor = (loss: string, examples: ReadonlyArray<Example>): ReadonlyArray<Datum.Datum> =>
  examples.map(({ datum, mask }) =>
    loss === "gspo"
      ? { ...datum, loss_fn_inputs: { ...datum.loss_fn_inputs, sequence_ratio_mask: TensorData.float32(mask) } }
      : datum
  )
