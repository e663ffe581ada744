/**
 * The loss functions of the service, and the inputs that each requires.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { openEnum } from "./internal/schemas/wire.ts"

/**
 * The loss functions that this version knows. Every loss is a sum over tokens and datums, never a mean.
 *
 * - `gspo`: `ppo` with one ratio per sequence, the geometric mean over the positions in `sequence_ratio_mask`.
 * - `stable_reinforce`: requires datums with spans (see `Datum.withProvenance`).
 * - `custom`: a loss that was uploaded to the service; `loss_id` in the config names it.
 *
 * @since 0.1.0
 * @category models
 */
export type KnownLossFn =
  | "cross_entropy"
  | "importance_sampling"
  | "ppo"
  | "cispo"
  | "dro"
  | "gspo"
  | "stable_reinforce"
  | "custom"

/**
 * The name of a loss function. A server may support others than the known ones, so any name is valid.
 *
 * @since 0.1.0
 * @category schemas
 */
export const LossFn = openEnum(
  "cross_entropy",
  "importance_sampling",
  "ppo",
  "cispo",
  "dro",
  "gspo",
  "stable_reinforce",
  "custom"
)

/**
 * @since 0.1.0
 * @category models
 */
export type LossFn = typeof LossFn.Type

/**
 * The numeric parameters of a loss function, such as `clip_low_threshold` of `ppo` (an absolute bound of the ratio) or
 * `beta` of `dro`.
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

/**
 * The parameters of a loss function: numbers, and strings such as the `loss_id` of `custom`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Config = Schema.Record({ key: Schema.String, value: Schema.Union(Schema.Finite, Schema.String) })

/**
 * @since 0.1.0
 * @category models
 */
export type Config = typeof Config.Type

/**
 * The numeric parameters of a config, without its strings.
 *
 * @since 0.1.0
 * @category conversions
 */
export const numericConfig = (config: Config): LossFnConfig => {
  const out: Record<string, number> = {}
  for (const [name, value] of Object.entries(config)) if (typeof value === "number") out[name] = value
  return out
}

const policyInputs = ["target_tokens", "logprobs", "advantages"] as const

const inputs = {
  // weights that are left out are ones
  cross_entropy: ["target_tokens"],
  importance_sampling: policyInputs,
  ppo: policyInputs,
  cispo: policyInputs,
  dro: policyInputs,
  gspo: [...policyInputs, "sequence_ratio_mask"],
  stable_reinforce: ["target_tokens"],
  custom: ["target_tokens"]
} as const satisfies Record<KnownLossFn, ReadonlyArray<string>>

/**
 * The names of the tensors that a datum must have for a known loss function; none for a name that this version does not
 * know.
 *
 * @since 0.1.0
 * @category models
 */
export type RequiredInput<L extends string> = L extends KnownLossFn ? (typeof inputs)[L][number] : never

/**
 * Whether this version knows a loss function.
 *
 * @since 0.1.0
 * @category guards
 */
export const isKnown = (lossFn: string): lossFn is KnownLossFn => Object.hasOwn(inputs, lossFn)

/**
 * The names of the tensors that a datum must have for a loss function; none for a name that this version does not know.
 *
 * @since 0.1.0
 * @category getters
 */
export const requiredInputs = (lossFn: string): ReadonlyArray<string> => (isKnown(lossFn) ? inputs[lossFn] : [])
