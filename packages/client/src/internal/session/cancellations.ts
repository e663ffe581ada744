/** Cancels abandoned samples on the service. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type * as ClientFlags from "../../ClientFlags.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import { cancellation } from "./policies.ts"

// beyond this the oldest are dropped: the service ends abandoned samples anyway
const maxWaiting = 10_000

/** The id of an abandoned sample, or how to learn it: the same submission again, which the service deduplicates. @internal */
export type Abandoned = Effect.Effect<string, TinkerError.TinkerError>

const cancelBatch = (
  client: TinkerClient.Service,
  waiting: Queue.Dequeue<Abandoned>,
  dynamicConfig: Effect.Effect<ClientFlags.DynamicConfig>
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { sample_cancel_max_batch_size } = yield* dynamicConfig
    const ids = yield* Queue.takeBetween(waiting, 1, Math.max(1, sample_cancel_max_batch_size))
    yield* Effect.forEach(
      ids,
      (abandoned) =>
        Effect.flatMap(abandoned, (request_id) =>
          client.call(TinkerApi.cancelFuture, { request_id }, { policy: cancellation })
        ).pipe(Effect.catchAll((error) => Effect.logDebug(`a sample was not cancelled: ${error.message}`))),
      { concurrency: "unbounded", discard: true }
    )
  })

/** Returns a function that cancels a sample in the background, if the service supports it. @internal */
export const make = (
  client: TinkerClient.Service,
  dynamicConfig: Effect.Effect<ClientFlags.DynamicConfig>
): Effect.Effect<(abandoned: Abandoned) => Effect.Effect<void>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const waiting = yield* Queue.sliding<Abandoned>(maxWaiting)
    yield* Effect.forkScoped(Effect.forever(cancelBatch(client, waiting, dynamicConfig)))
    return (abandoned) =>
      Effect.flatMap(dynamicConfig, ({ sample_cancel_enabled }) =>
        sample_cancel_enabled ? Queue.offer(waiting, abandoned) : Effect.void
      )
  })
