/** Why a run ends before its last step, and when. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Cost from "../../Cost.ts"
import type { Row } from "../metrics/row.ts"
import type { Options } from "./options.ts"

/**
 * Why a run ended: after all `steps`, because an evaluation did not improve (`early`), because a budget is spent
 * (`seconds`, `tokens`, `usd`), or because it was asked to (`request`).
 *
 * @since 0.1.0
 * @category models
 */
export type StopReason = "steps" | "early" | "seconds" | "tokens" | "usd" | "request"

/** @internal */
export interface Limits {
  /** why no further step is submitted */
  reason: StopReason | undefined
  /** the number of steps at which an early stop ends the run */
  end: number
  /** tokens of all steps that are submitted */
  tokens: number
  /** seconds of earlier parts */
  readonly earlierSeconds: number
  readonly startMillis: number
  best: number | undefined
  /** evaluations since the best one */
  worse: number
}

/** @internal */
export const secondsOf = (limits: Limits): Effect.Effect<number> =>
  Effect.map(Clock.currentTimeMillis, (now) => limits.earlierSeconds + (now - limits.startMillis) / 1000)

/** Notes the evaluation of a row, and ends the run when there were too many without improvement. @internal */
export const noteRow = <E, R>({ ahead = 1, earlyStop, steps }: Options<E, R>, limits: Limits, row: Row): void => {
  const value = earlyStop === undefined ? undefined : row[earlyStop.metric]
  if (earlyStop === undefined || typeof value !== "number" || row.step >= steps) return
  const { minDelta = 0, mode = "min", patience } = earlyStop
  const gain = limits.best === undefined ? Infinity : mode === "min" ? limits.best - value : value - limits.best
  if (gain > minDelta) {
    limits.best = value
    limits.worse = 0
    return
  }
  // the steps that are submitted by now are finished: a run that resumes here ends with the same step
  if (++limits.worse >= patience) limits.end = Math.min(limits.end, row.step + ahead + 1)
}

/** The limit that a step would exceed. */
const exceeded = <E, R>(
  { budget = {}, prices }: Options<E, R>,
  { end }: Limits,
  { seconds, step, trained }: { readonly step: number; readonly trained: number; readonly seconds: number }
): StopReason | undefined => {
  if (step >= end) return "early"
  if (seconds >= (budget.seconds ?? Infinity)) return "seconds"
  if (trained > (budget.tokens ?? Infinity)) return "tokens"
  return prices !== undefined && Cost.usd({ trained }, prices) > (budget.usd ?? Infinity) ? "usd" : undefined
}

/** Why this batch is not submitted; `undefined` if it is. Its tokens count from then on. @internal */
export const admit = <E, R>(
  options: Options<E, R>,
  limits: Limits,
  step: number,
  tokens: number
): Effect.Effect<StopReason | undefined> =>
  Effect.map(secondsOf(limits), (seconds) => {
    const { steps } = options
    const trained = limits.tokens + tokens
    const reason = step >= steps ? "steps" : (limits.reason ?? exceeded(options, limits, { step, trained, seconds }))
    limits.reason = reason
    if (reason === undefined) limits.tokens = trained
    return reason
  })

/** @internal */
export const make = <E, R>(
  options: Options<E, R>,
  rows: ReadonlyArray<Row>,
  earlier: { readonly tokens: number; readonly seconds: number }
): Effect.Effect<Limits> =>
  Effect.map(Clock.currentTimeMillis, (startMillis) => {
    const limits: Limits = {
      reason: undefined,
      end: Number.POSITIVE_INFINITY,
      tokens: earlier.tokens,
      earlierSeconds: earlier.seconds,
      startMillis,
      best: undefined,
      worse: 0
    }
    for (const row of rows) noteRow(options, limits, row)
    return limits
  })
