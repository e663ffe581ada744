/** Sends the requests of one operation. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { OperationRecord } from "../telemetry/instrument.ts"
import type { Breakage } from "./breakage.ts"
import type { Accepted, Operation } from "./operation.ts"
import { retryUnreadable } from "../util/backoff.ts"
import type { DurationInput } from "../util/duration.ts"

// how long a closing client waits for the other requests of an operation that the service has in part
const gracePeriod: DurationInput = "5 seconds"

type SendOne<A> = (index: number) => Effect.Effect<Accepted<A>, TinkerError.TinkerError>

/** Sends requests in the order of the operation, and records their exits. Fails as soon as the client is broken. */
const sendInOrder = <A>(
  operation: Pick<Operation<A, never, never>, "parallel" | "requestCount">,
  sendOne: SendOne<A>,
  exits: Array<Exit.Exit<Accepted<A>, TinkerError.TinkerError> | undefined>,
  breakage: Breakage
): Effect.Effect<void, "broken"> => {
  const send = (index: number) =>
    Effect.flatMap(Effect.exit(sendOne(index)), (exit) => {
      exits[index] = exit
      return breakage.isBroken ? Effect.fail("broken" as const) : Effect.void
    })
  const indices = Array.from({ length: operation.requestCount }, (_, index) => index)
  // The service runs requests by sequence number. Nothing is applied before it has the first one, which is sent last.
  return operation.parallel === true
    ? Effect.andThen(
        Effect.forEach(indices.slice(1), send, { concurrency: "unbounded", discard: true }),
        Effect.suspend(() => send(0))
      )
    : Effect.forEach(indices, send, { discard: true })
}

/** Lets an effect finish within the grace period after an interruption, if `isStarted` by then. */
const finishWithinGracePeriod = (effect: Effect.Effect<void>, isStarted: () => boolean): Effect.Effect<void> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDaemon(Effect.interruptible(effect)), (fiber) => {
      const finish = Effect.suspend(() =>
        isStarted() ? Effect.timeoutOption(Effect.interruptible(Fiber.await(fiber)), gracePeriod) : Effect.void
      )
      return Effect.onInterrupt(restore(Fiber.join(fiber)), () => Effect.andThen(finish, Fiber.interrupt(fiber)))
    })
  )

/**
 * Sends all requests of an operation. A request that is rejected does not stop the others, for no sequence number may be
 * missing; a request that breaks the client does.
 *
 * @internal
 */
export const sendRequests = <A, I, B>(
  operation: Operation<A, I, B>,
  firstSeqId: number,
  record: OperationRecord,
  breakage: Breakage
): Effect.Effect<ReadonlyArray<Accepted<A>>, TinkerError.TinkerError> => {
  const sendOne: SendOne<A> = (index) =>
    Effect.suspend(() => operation.send(firstSeqId + index, index, record)).pipe(
      retryUnreadable,
      Effect.tapErrorCause((cause) => Effect.sync(() => breakage.record(operation, firstSeqId + index, cause)))
    )
  if (operation.requestCount === 1) return Effect.map(sendOne(0), (accepted) => [accepted])
  const exits: Array<Exit.Exit<Accepted<A>, TinkerError.TinkerError> | undefined> = []
  return Effect.flatMap(
    finishWithinGracePeriod(Effect.ignore(sendInOrder(operation, sendOne, exits, breakage)), () =>
      exits.some((exit) => exit !== undefined && Exit.isSuccess(exit))
    ),
    () => Effect.all(exits.filter((exit) => exit !== undefined))
  )
}
