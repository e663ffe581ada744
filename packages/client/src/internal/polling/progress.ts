/** Detects that a client makes no progress any more. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as QueueState from "../../QueueState.ts"
import { type DurationInput, millis } from "../util/duration.ts"

/** When an operation of a client last ended, which counts as progress for all that are in flight. @internal */
export interface Progress {
  lastMillis: number
}

/** @internal */
export const make = (): Progress => ({ lastMillis: Number.NEGATIVE_INFINITY })

/** Fails once the client has made no progress for as long as the limit. @internal */
export interface Watch {
  readonly check: Effect.Effect<void, TinkerError.NoProgress>
}

/** @internal */
export const watch = (options: {
  readonly method: string
  readonly requestId?: string | undefined
  readonly progress: Progress
  readonly limit: DurationInput
  readonly startMillis: number
  readonly queue?: QueueState.Observable | undefined
}): Watch => {
  const limit = millis(options.limit)
  return {
    check: Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const waited = now - Math.max(options.startMillis, options.progress.lastMillis)
      if (waited < limit) return Effect.void
      return Effect.flatMap(
        options.queue === undefined ? Effect.succeed(QueueState.active) : options.queue.current,
        ({ reason, state }) =>
          new TinkerError.NoProgress({
            method: options.method,
            ...(options.requestId === undefined ? {} : { requestId: options.requestId }),
            waitedMillis: waited,
            queueState: state,
            ...(reason === undefined ? {} : { queueStateReason: reason })
          })
      )
    })
  }
}
