/** Reads the exits of effects, and the bodies of recorded requests. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import { Exit } from "effect"

/** The error of an effect that failed; `undefined` if it succeeded, died or was interrupted. */
export const failureOf = <A, E>(exit: Exit.Exit<A, E>): TinkerError.TinkerError | undefined =>
  Exit.isFailure(exit) && exit.cause._tag === "Fail" ? (exit.cause.error as TinkerError.TinkerError) : undefined

/** The JSON body of a request. */
export const bodyOf = (request: ScriptedHttpClient.Recorded) => request.body as Record<string, unknown>
