/**
 * Names of checkpoints: `tinker://<training run>/weights/<name>` for training states, and
 * `tinker://<training run>/sampler_weights/<name>` for sampler weights.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"

/**
 * @since 0.1.0
 * @category models
 */
export interface TinkerPath {
  readonly training_run_id: string
  readonly kind: Kind
  readonly name: string
}

/**
 * @since 0.1.0
 * @category models
 */
export type Kind = "weights" | "sampler_weights"

/**
 * Reads a path of three parts, or of two (`tinker://<run>/<name>`), which some servers answer for sampler weights.
 *
 * @since 0.1.0
 * @category conversions
 */
export const parse = (path: string): Option.Option<TinkerPath> => {
  if (!path.startsWith("tinker://")) return Option.none()
  const parts = path.slice("tinker://".length).split("/")
  const [training_run_id, kind, name] = parts.length === 2 ? [parts[0], "sampler_weights", parts[1]] : parts
  return parts.length <= 3 && training_run_id && name && (kind === "weights" || kind === "sampler_weights")
    ? Option.some({ training_run_id, kind, name })
    : Option.none()
}

/**
 * @since 0.1.0
 * @category conversions
 */
export const format = (self: TinkerPath): string => `tinker://${self.training_run_id}/${self.kind}/${self.name}`

/**
 * Checkpoint names that every compatible server takes: letters, digits, `_`, `-` and, not at the start, `.`; at most
 * 255 characters.
 *
 * @since 0.1.0
 * @category guards
 */
export const isCheckpointName = (name: string): boolean => /^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}$/.test(name)
