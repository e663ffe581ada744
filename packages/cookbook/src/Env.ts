/**
 * Environments: what the model is given, what its actions lead to, and what they earn.
 *
 * ```ts
 * const group = Env.problem({
 *   prompt: base.encode("2 + 2 ="),
 *   stop: "\n",
 *   size: 16,
 *   decode: base.decode,
 *   grade: ({ text }) => (text.trim() === "4" ? 1 : 0)
 * })
 * ```
 *
 * `Rollouts` runs the episodes of groups, and `Rl` trains on them.
 *
 * @since 0.1.0
 */
import { conversation as conversation_, type ConversationOptions } from "./internal/environments/conversation.ts"
import type { GraderTimeout } from "./internal/environments/errors.ts"
import type { Env, EnvGroup } from "./internal/environments/model.ts"
import { problem as problem_, type ProblemOptions } from "./internal/environments/problem.ts"
import type { RendererError } from "./internal/formats/model.ts"

export * from "./internal/environments/errors.ts"
export * from "./internal/environments/model.ts"
export type { ConversationOptions, ParseFailures, Reply } from "./internal/environments/conversation.ts"
export type { Answer, ProblemOptions } from "./internal/environments/problem.ts"
export type { Tool, ToolResult, Tools } from "./internal/environments/tools.ts"

/**
 * A problem with one answer: its reward is what the grader says, less the penalty of an answer that does not end with a stop
 * sequence or lacks the form. Metrics: `correct`, `format`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const problem: <E = never, R = never>(
  options: ProblemOptions<E, R>
) => EnvGroup<E | GraderTimeout, R, Env<E | GraderTimeout, R>> = problem_

/**
 * A conversation: each message of the model is parsed; its calls of tools are answered one after the other, and any other
 * message goes to `reply`, which rewards it, and says what comes next or ends the conversation. An episode that outgrows
 * the context earns -0.1. Metrics: `parse_error`, `tool_calls` and `tool_errors` of a turn. `Toolkits` makes tools of those of
 * `@effect/ai`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const conversation: <E = never, R = never>(
  options: ConversationOptions<E, R>
) => EnvGroup<E | GraderTimeout | RendererError, R, Env<E | GraderTimeout | RendererError, R>> = conversation_
