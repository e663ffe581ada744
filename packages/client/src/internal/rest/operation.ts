/** Runs an operation of `RestClient` in a span. */
import type * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Effect from "effect/Effect"
import * as inputs from "./inputs.ts"
import type * as options from "./options.ts"

/** @internal */
export const operation = <A>(method: string, effect: options.RestEffect<A>): options.RestEffect<A> =>
  Effect.withSpan(effect, `RestClient.${method}`)

/** Runs an operation on one checkpoint. An invalid path fails before a request is sent. @internal */
export const onCheckpoint = <A>(
  method: string,
  target: options.Target,
  send: (path: TinkerPath.TinkerPath) => options.RestEffect<A>
): options.RestEffect<A> => operation(method, Effect.flatMap(inputs.parseTarget(method, target), send))
