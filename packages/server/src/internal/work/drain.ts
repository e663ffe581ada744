/** Stops the service in order: it accepts no new work, finishes what runs, and waits for its results to be fetched. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as responses from "../util/responses.ts"
import type { Futures } from "./futures.ts"

/** Whether the service accepts new sessions and operations. @internal */
export class Admission {
  draining = false

  /** The rejection of new work while the service drains. */
  get rejection(): responses.OperationRejection | undefined {
    return this.draining
      ? responses.unavailable("the service stops and accepts no new work: try again, another one may have started")
      : undefined
  }

  /** Fails while the service drains. */
  get check(): Effect.Effect<void, responses.OperationRejection> {
    return Effect.suspend((): Effect.Effect<void, responses.OperationRejection> => this.rejection ?? Effect.void)
  }
}

const pause = Duration.millis(20)

// clients poll again within a round trip, unless they are gone
const deliveryTime = Duration.seconds(2)

/** Waits until something is done, and returns whether it is. Finalizers call it, so it does not rely on interruption. */
const waitUntil = Effect.fnUntraced(function* (isDone: () => boolean, atMost: Duration.Duration) {
  const deadline = (yield* Clock.currentTimeMillis) + Duration.toMillis(atMost)
  while (!isDone()) {
    if ((yield* Clock.currentTimeMillis) >= deadline) return false
    yield* Effect.sleep(pause)
  }
  return true
})

/** Rejects new work, and returns when there is no other, or after `atMost`. @internal */
export const drain = Effect.fnUntraced(function* (admission: Admission, futures: Futures, atMost: Duration.Duration) {
  admission.draining = true
  const { queued, running } = futures.load
  if (running + queued > 0) {
    const limit = Duration.toSeconds(atMost)
    yield* Effect.logInfo(`stopping: ${running} operations run and ${queued} wait; they get at most ${limit} s`)
  }
  const isIdle = () => futures.load.running + futures.load.queued === 0
  if (!(yield* waitUntil(isIdle, atMost))) {
    const { queued, running } = futures.load
    return yield* Effect.logWarning(`stopping: ${running + queued} operations did not end in time, and are interrupted`)
  }
  yield* waitUntil(() => futures.isDelivered, Duration.min(atMost, deliveryTime))
})
