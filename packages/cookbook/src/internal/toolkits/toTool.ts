/** One tool of a toolkit of @effect/ai as a tool of an environment. */
import type * as AiError from "@effect/ai/AiError"
import type * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import { firstIssue } from "../effect/parseError.ts"
import type { Tool as EnvTool, ToolResult } from "../environments/tools.ts"
import { specOf } from "../languageModel/messages.ts"

/** What is wrong with the arguments, if that is what failed: the model is to know it. */
const problemOf = (error: unknown): string | undefined => {
  const { _tag, cause } = (typeof error === "object" && error !== null ? error : {}) as {
    readonly _tag?: unknown
    readonly cause?: { readonly _tag?: unknown }
  }
  return _tag === "MalformedOutput" && cause?._tag === "ParseError"
    ? firstIssue(cause as Parameters<typeof firstIssue>[0])
    : undefined
}

const textOf = (result: unknown): string => (typeof result === "string" ? result : (JSON.stringify(result) ?? "null"))

/** @internal */
export const toTool = <All extends Record<string, Tool.Any>>(
  handlers: Toolkit.WithHandler<All>,
  tool: Tool.Any,
  stop: boolean
): EnvTool<Tool.HandlerError<All[keyof All]> | AiError.AiError, Tool.Requirements<All[keyof All]>> => ({
  spec: specOf(tool),
  run: (input) =>
    // the toolkit decodes its arguments, and fails with errors that its type does not name
    handlers.handle(tool.name, input as never).pipe(
      Effect.map(({ encodedResult, isFailure }): ToolResult => ({
        text: textOf(encodedResult),
        stop,
        isError: isFailure
      })),
      Effect.catchAll((error) => {
        const problem = problemOf(error)
        return problem === undefined
          ? Effect.fail(error as Tool.HandlerError<All[keyof All]>)
          : Effect.succeed<ToolResult>({ text: problem, isError: true })
      })
    )
})
