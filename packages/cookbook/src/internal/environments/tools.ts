/** Functions that the model may call, and their calls. What a call does wrong is told to the model. */
import * as Effect from "effect/Effect"
import type * as Message from "../../Message.ts"

/**
 * What a tool answers: a text, or one with what it means.
 *
 * @since 0.1.0
 * @category models
 */
export type ToolResult =
  | string
  | {
      readonly text: string
      /** whether the episode ends with this call; false by default */
      readonly stop?: boolean | undefined
      /** whether the call was wrong, for the metric `tool_errors`; false by default */
      readonly isError?: boolean | undefined
    }

/**
 * A function that the model may call: what is said of it, and what it does with the arguments, as JSON has them. What it
 * throws is the answer to the model; an effect that fails is a failure of the environment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tool<E = never, R = never> {
  readonly spec: Message.ToolSpec
  readonly run: (input: unknown) => ToolResult | Effect.Effect<ToolResult, E, R>
}

/**
 * Tools by name.
 *
 * @since 0.1.0
 * @category models
 */
export type Tools<E = never, R = never> = { readonly [name: string]: Tool<E, R> }

type Answer = Exclude<ToolResult, string>

/** @internal */
export const functionOf = (call: Message.ToolCall) =>
  ("function" in call ? call.function : call) as {
    readonly name: string
    readonly arguments: unknown
  }

/** The arguments of a call; text that is no JSON stays text, for the tool to refuse. @internal */
export const argumentsOf = (call: Message.ToolCall): Effect.Effect<unknown> => {
  const given = functionOf(call).arguments
  return typeof given !== "string"
    ? Effect.succeed(given)
    : Effect.orElseSucceed(
        Effect.try(() => JSON.parse(given) as unknown),
        () => given
      )
}

const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown))

/** The answer to a call, also of a tool that does not exist. @internal */
export const callTool = <E, R>(tools: Tools<E, R>, name: string, input: unknown): Effect.Effect<Answer, E, R> =>
  Effect.gen(function* () {
    const tool = Object.hasOwn(tools, name) ? tools[name] : undefined
    if (tool === undefined) return { text: `there is no tool ${name}`, isError: true }
    const called = yield* Effect.either(Effect.try({ try: () => tool.run(input), catch: messageOf }))
    if (called._tag === "Left") return { text: `${name} failed: ${called.left}`, isError: true }
    const result = Effect.isEffect(called.right) ? yield* called.right : called.right
    return typeof result === "string" ? { text: result } : result
  })
