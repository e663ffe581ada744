/** Checks the arguments of training operations before anything is submitted. */
import * as Datum from "@effect-tinker/api/Datum"
import type * as LossFn from "@effect-tinker/api/LossFn"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as contextLengths from "../session/contextLengths.ts"
import type { Context } from "./context.ts"

type Problem = TinkerError.InvalidInput | undefined

const invalidInput = (method: string, path: string, reason: string) =>
  new TinkerError.InvalidInput({ method, path, reason })

/** A batch needs at least one datum, and each datum the inputs of the loss. @internal */
export const checkData = (method: string, data: ReadonlyArray<Datum.Datum>, lossFn: string): Problem => {
  if (data.length === 0) return invalidInput(method, "data", "is empty: give it one datum or more")
  for (let i = 0; i < data.length; i++) {
    const problem = Datum.problem(data[i]!, lossFn)
    if (problem !== undefined) return invalidInput(method, `data[${i}].${problem.path}`, problem.reason)
  }
  return undefined
}

// no model has a shorter context: the service is not asked for that of shorter data
const shortestContext = 64

/**
 * No datum may be longer than the model's context. The service is asked for that once in a session, when there is a datum
 * that may be too long. Inputs whose length only the service knows are left to it.
 *
 * @internal
 */
export const checkLengths = (
  { baseModel, client, session }: Context,
  method: string,
  data: ReadonlyArray<Datum.Datum>
): Effect.Effect<void, TinkerError.InvalidInput> =>
  Effect.suspend(() => {
    const lengths = data.map(({ model_input }) => Either.getOrElse(ModelInput.lengthEither(model_input), () => 0))
    if (lengths.every((length) => length <= shortestContext)) return Effect.void
    return Effect.flatMap(contextLengths.of(client, session, baseModel), (limit) => {
      const index = limit === undefined ? -1 : lengths.findIndex((length) => length > limit)
      const reason = `has ${lengths[index]} tokens, but the model's context length is ${limit}: shorten it`
      return index < 0 ? Effect.void : invalidInput(method, `data[${index}].model_input`, reason)
    })
  })

/** The numbers of a loss configuration must be finite. @internal */
export const checkConfig = (method: string, config: LossFn.Config = {}): Problem => {
  const bad = Object.entries(config).find(([, value]) => typeof value === "number" && !Number.isFinite(value))
  return bad === undefined
    ? undefined
    : invalidInput(method, `loss_fn_config.${bad[0]}`, `is ${bad[1]}: give a finite number`)
}

/** @internal */
export const checkName = (method: string, name: string): Problem =>
  TinkerPath.isCheckpointName(name)
    ? undefined
    : invalidInput(method, "name", `is ${JSON.stringify(name)}: use letters, digits, "_", "-" and "."`)

/** @internal */
export const checkTtl = (method: string, seconds: number | undefined): Problem =>
  seconds === undefined || (Number.isInteger(seconds) && seconds > 0)
    ? undefined
    : invalidInput(method, "ttl_seconds", `is ${seconds}: give a whole number above 0`)

/** The values of a checkpoint's metadata must be strings. @internal */
export const checkMetadata = (method: string, metadata: { readonly [key: string]: unknown } = {}): Problem => {
  const bad = Object.entries(metadata).find(([, value]) => typeof value !== "string")
  return bad === undefined ? undefined : invalidInput(method, `user_metadata.${bad[0]}`, "is not a string")
}

/** Fails with `InvalidInput` unless the path is that of a training state. @internal */
export const checkStatePath = (method: string, path: string): Effect.Effect<void, TinkerError.InvalidInput> =>
  Option.exists(TinkerPath.parse(path), TinkerPath.isTrainingState)
    ? Effect.void
    : invalidInput(method, "path", `is ${JSON.stringify(path)}: give "tinker://<training run>/weights/<name>"`)
