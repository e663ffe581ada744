/** Runs an operation of `RestClient` in a span, and counts it. */
import * as Pagination from "@effect-tinker/api/Pagination"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as Effect from "effect/Effect"
import { instrument, instrumentStream } from "../telemetry/instrument.ts"
import * as inputs from "./inputs.ts"
import type * as options from "./options.ts"

/** @internal */
export const operation = <A>(method: string, effect: options.RestEffect<A>): options.RestEffect<A> =>
  instrument(`RestClient.${method}`, {}, () => effect)

/** @internal */
export const streamOperation = <A>(method: string, stream: () => options.RestStream<A>): options.RestStream<A> =>
  instrumentStream(`RestClient.${method}`, {}, stream)

/** Entries that could not be read are left out of a list. That must not go unnoticed. */
const warnOfLeftOut = (method: string, response: object): Effect.Effect<void> =>
  Effect.forEach(
    Object.entries(response),
    ([field, value]) => {
      const problems = Array.isArray(value) ? Pagination.leftOut(value) : []
      return problems.length === 0
        ? Effect.void
        : Effect.logWarning(
            `${method}: ${problems.length} of the ${field} could not be read and are left out: ${field}${problems[0]}`
          )
    },
    { discard: true }
  )

/** Runs an operation whose response has lists. @internal */
export const listOperation = <A extends object>(method: string, effect: options.RestEffect<A>): options.RestEffect<A> =>
  operation(
    method,
    Effect.tap(effect, (response) => warnOfLeftOut(method, response))
  )

/** Whether the service has no such route, or nothing there. @internal */
export const isMissingRoute = (error: TinkerError.TinkerError): boolean =>
  error._tag === "NotFound" || (error._tag === "BadRequest" && error.status === 405)

const byName = new WeakMap<object, object>()

/** The endpoint at a checkpoint's bare name. @internal */
export const withoutKind = <E extends HttpApiEndpoint.HttpApiEndpoint.Any>(endpoint: E): E => {
  let bare = byName.get(endpoint) as E | undefined
  if (bare === undefined) {
    bare = Object.create(endpoint, {
      path: { value: (endpoint as E & { readonly path: string }).path.replace("/:kind/:name", "/:name") }
    }) as E
    byName.set(endpoint, bare)
  }
  return bare
}

/** The endpoint of a checkpoint: a service that calls all its checkpoints `checkpoints` addresses them by name. @internal */
export const byKindOrName = <E extends HttpApiEndpoint.HttpApiEndpoint.Any>(
  { kind }: TinkerPath.TinkerPath,
  endpoint: E
): E => (kind === "checkpoints" ? withoutKind(endpoint) : endpoint)

/** Runs an operation on one checkpoint. An invalid path fails before a request is sent. @internal */
export const onCheckpoint = <A>(
  method: string,
  target: options.Target,
  send: (path: TinkerPath.TinkerPath) => options.RestEffect<A>
): options.RestEffect<A> => operation(method, Effect.flatMap(inputs.parseTarget(method, target), send))
