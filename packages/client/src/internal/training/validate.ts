/** Checks the arguments of training operations before anything is submitted. */
import * as Datum from "@effect-tinker/api/Datum"
import type * as LossFn from "@effect-tinker/api/LossFn"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

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
