/** The types of episodes. */
import type * as Datum from "@effect-tinker/api/Datum"
import type * as ModelInput from "@effect-tinker/api/ModelInput"

/**
 * What the model sampled in a turn. `logprobs` are those of sampling, one a token.
 *
 * @since 0.1.0
 * @category models
 */
export interface Action {
  readonly tokens: Int32Array
  readonly logprobs: Float32Array
  /** `stop` where the model ended its turn, `length` where the limit did */
  readonly stop_reason: string
  /** the id that sampling returned */
  readonly sequence_id?: string | undefined
}

/**
 * One turn of an episode.
 *
 * @since 0.1.0
 * @category models
 */
export interface Turn {
  /** the whole input from which the action was sampled, with the turns before it */
  readonly observation: ModelInput.ModelInput
  readonly action: Action
  readonly reward: number
  /** whether the tokens of this turn are left out of training, such as those of a malformed answer; false by default */
  readonly masked?: boolean | undefined
  readonly metrics?: { readonly [name: string]: number } | undefined
}

/**
 * Why an episode ended: the environment said so (`completed`, `tool_stopped`), a limit was reached (`max_turns`,
 * `max_tokens` of one turn, `max_sampled_tokens` and `max_tool_calls` of the episode, `context_overflow`,
 * `rollout_timeout`), or the model wrote what could not be read (`parse_error`).
 *
 * @since 0.1.0
 * @category models
 */
export type StopReason =
  | "completed"
  | "tool_stopped"
  | "max_turns"
  | "max_tokens"
  | "max_sampled_tokens"
  | "max_tool_calls"
  | "context_overflow"
  | "parse_error"
  | "rollout_timeout"

/**
 * An episode.
 *
 * @since 0.1.0
 * @category models
 */
export interface Trajectory {
  readonly turns: ReadonlyArray<Turn>
  readonly stop: StopReason
  /** what the whole episode earned beside its turns, such as the reward of a grader at its end */
  readonly reward: number
  readonly metrics?: { readonly [name: string]: number } | undefined
  /** what to show of it in a report: texts by name */
  readonly logs?: { readonly [name: string]: string } | undefined
}

/**
 * Episodes of one problem, whose rewards are compared with each other.
 *
 * @since 0.1.0
 * @category models
 */
export interface Group {
  readonly trajectories: ReadonlyArray<Trajectory>
  /** names of what the problem belongs to, for metrics */
  readonly tags?: ReadonlyArray<string> | undefined
}

/**
 * A datum, and which of its targets were sampled and are trained: 1 at those, 0 elsewhere.
 *
 * @since 0.1.0
 * @category models
 */
export interface Example {
  readonly datum: Datum.Policy
  readonly mask: Float32Array
}
