/**
 * Tools of `@effect/ai` for environments: what the model calls in an episode are the handlers of a `Toolkit`. It needs
 * `@effect/ai` 0.37, so the package's index leaves it out: import it as `@effect-tinker/cookbook/Toolkits`.
 *
 * ```ts
 * const Calculator = Toolkit.make(
 *   Tool.make("add", { parameters: { a: Schema.Number, b: Schema.Number }, success: Schema.Number })
 * )
 * const CalculatorLive = Calculator.toLayer({ add: ({ a, b }) => Effect.succeed(a + b) })
 * const group = Env.conversation({
 *   renderer, messages, size: 8, reply,
 *   tools: Toolkits.tools(Calculator).pipe(Effect.provide(CalculatorLive))
 * })
 * ```
 *
 * Given as an effect, as here, the tools of each episode are made anew, in its scope.
 *
 * @since 0.1.0
 */
import type * as AiError from "@effect/ai/AiError"
import type * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import type * as Env from "./Env.ts"
import { toTool } from "./internal/toolkits/toTool.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<Name extends string> {
  /** tools whose calls end the episode, such as one that hands in an answer; none by default */
  readonly stop?: ReadonlyArray<Name> | undefined
}

/**
 * The tools of a toolkit. The model is given what a handler returns, as JSON, and failures of tools with the failure mode
 * `return`. Arguments that do not fit are told to the model as well (`tool_errors`). A handler that fails with the mode
 * `error`, or returns what its schema does not allow (`MalformedInput`), fails the episode.
 *
 * @since 0.1.0
 * @category constructors
 */
export const tools = <All extends Record<string, Tool.Any>>(
  toolkit: Toolkit.Toolkit<All>,
  { stop = [] }: Options<keyof All & string> = {}
): Effect.Effect<
  Env.Tools<Tool.HandlerError<All[keyof All]> | AiError.AiError, Tool.Requirements<All[keyof All]>>,
  never,
  Tool.HandlersFor<All>
> =>
  Effect.map(toolkit, (handlers) =>
    Object.fromEntries(
      Object.entries(handlers.tools).map(([name, tool]) => [name, toTool(handlers, tool, stop.includes(name))])
    )
  )
