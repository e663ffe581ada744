/** Decides when a sequence ends, by its tokens and its text. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type { LoadedModel } from "../model/loaded.ts"
import { userError } from "../util/errors.ts"

/** Whether a sequence ends with its last token. @internal */
export type StopCondition = (tokens: ReadonlyArray<number>) => boolean

/**
 * How many of the last tokens must be decoded to find a stop string that the last token completes: a token has at least
 * one byte, and a UTF-16 code unit at most four.
 */
const decodedTokens = (strings: ReadonlyArray<string>): number =>
  4 * Math.max(...strings.map((string) => string.length)) + 4

/**
 * Sequences end at the model's end-of-text tokens. `stop` adds tokens and strings; an empty list removes the
 * end-of-text tokens.
 *
 * @internal
 */
export const make = (
  model: LoadedModel,
  stop: Sampling.SamplingParams["stop"]
): Effect.Effect<StopCondition, Engine.EngineError> =>
  Effect.suspend(() => {
    const listed: ReadonlyArray<string | number> = typeof stop === "string" ? [stop] : (stop ?? [])
    const strings = listed.filter((item) => typeof item === "string")
    const tokens = new Set(listed.filter((item) => typeof item === "number"))
    const isEmptyList = stop !== undefined && listed.length === 0
    if (!isEmptyList) for (const token of model.directory.eos_token_ids) tokens.add(token)
    const endsWithToken: StopCondition = (all) => tokens.has(all[all.length - 1]!)
    if (strings.length === 0) return Effect.succeed(endsWithToken)
    if (strings.includes("")) return Effect.fail(userError("stop contains an empty string"))
    const { decode } = model.directory
    if (decode === undefined) {
      return Effect.fail(
        userError(`${model.name} has no tokenizer.json, so it cannot find stop strings: use token ids`)
      )
    }
    const window = decodedTokens(strings)
    return Effect.succeed((all) => {
      if (endsWithToken(all)) return true
      const text = decode(all.slice(-window))
      return strings.some((string) => text.includes(string))
    })
  })
