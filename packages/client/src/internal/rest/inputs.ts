/** Checks what a caller passes to `RestClient`, before any request is sent. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as options from "./options.ts"

/** The payload of endpoints that have none. @internal */
export const noPayload = undefined as never

/** @internal */
export const invalidInput = (method: string, path: string, reason: string): TinkerError.InvalidInput =>
  new TinkerError.InvalidInput({ method, path, reason })

/** The parts of a checkpoint's path. `field` names the argument in the error. @internal */
export const parseTarget = (
  method: string,
  target: options.Target,
  field = "path"
): Effect.Effect<TinkerPath.TinkerPath, TinkerError.InvalidInput> =>
  Option.match(TinkerPath.parse(typeof target === "string" ? target : TinkerPath.format(target)), {
    onNone: () =>
      Effect.fail(
        invalidInput(
          method,
          field,
          `is ${JSON.stringify(target)}: give "tinker://<training run>/<kind>/<name>", where the kind is weights, ` +
            `sampler_weights or external_weights`
        )
      ),
    onSome: Effect.succeed
  })

/** Limit and offset as query parameters. @internal */
export const pageParams = (
  method: string,
  { limit, offset }: options.Page
): Effect.Effect<{ readonly limit?: number; readonly offset?: number }, TinkerError.InvalidInput> => {
  for (const [name, value, least] of [
    ["limit", limit, 1],
    ["offset", offset, 0]
  ] as const) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
      return Effect.fail(invalidInput(method, name, `is ${value}: give a whole number of ${least} or more`))
    }
  }
  return Effect.succeed({
    ...(limit === undefined ? {} : { limit }),
    ...(offset === undefined ? {} : { offset })
  })
}

/** The access scope as a query parameter. @internal */
export const accessParams = ({ access_scope = "owned" }: options.Access) => ({ access_scope })

/** The project as a query parameter. @internal */
export const projectParams = ({ project_id }: options.Project) => (project_id === undefined ? {} : { project_id })
