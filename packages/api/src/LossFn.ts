/**
 * The loss functions that run on the service, and what each reads from a datum.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { open } from "./internal/schemas.ts"

/**
 * The loss functions that this version knows. Every loss is a sum over tokens and datums, never a mean.
 *
 * @since 0.1.0
 * @category models
 */
export type KnownLossFn = "cross_entropy" | "importance_sampling" | "ppo" | "cispo" | "dro"

/**
 * A server may offer further loss functions, so any name passes.
 *
 * @since 0.1.0
 * @category schemas
 */
export const LossFn = open("cross_entropy", "importance_sampling", "ppo", "cispo", "dro")

/**
 * @since 0.1.0
 * @category models
 */
export type LossFn = typeof LossFn.Type

/**
 * Parameters of a loss function, such as `clip_low_threshold` for `ppo` (absolute ratio bounds) or `beta` for `dro`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const LossFnConfig = Schema.Record({ key: Schema.String, value: Schema.Finite })

/**
 * @since 0.1.0
 * @category models
 */
export type LossFnConfig = typeof LossFnConfig.Type

const policyInputs = ["target_tokens", "logprobs", "advantages"] as const

const inputs: Record<KnownLossFn, ReadonlyArray<string>> = {
  cross_entropy: ["target_tokens", "weights"],
  importance_sampling: policyInputs,
  ppo: policyInputs,
  cispo: policyInputs,
  dro: policyInputs
}

/**
 * @since 0.1.0
 * @category guards
 */
export const isKnown = (lossFn: string): lossFn is KnownLossFn => Object.hasOwn(inputs, lossFn)

/**
 * The names of the tensors that a datum must carry for a loss function; none for a name that this version does not
 * know.
 *
 * @since 0.1.0
 * @category getters
 */
export const requiredInputs = (lossFn: string): ReadonlyArray<string> => (isKnown(lossFn) ? inputs[lossFn] : [])
