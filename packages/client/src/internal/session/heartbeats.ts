/** Keeps a session alive, and detects when the service has ended it. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as TinkerClient from "../../TinkerClient.ts"
import { singleAttempt } from "./policies.ts"

const interval = Duration.seconds(10)
const warnAfterMillis = 120_000

interface State {
  readonly client: TinkerClient.Service
  readonly sessionId: string
  /** fails when the service has ended the session */
  readonly lost: Deferred.Deferred<never, TinkerError.SessionLost>
  lastSuccessMillis: number
  hasSucceeded: boolean
}

/** Reports that the service has ended the session. */
const endSession = (
  { lost, sessionId }: State,
  error: TinkerError.FutureExpired | TinkerError.NotFound
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const event = new TinkerError.SessionLost({
      method: "sessionHeartbeat",
      sessionId,
      reason: error.detail || `the service responded with ${error.status}`
    })
    yield* Effect.logError(event.message)
    yield* Deferred.fail(lost, event)
  })

/** A missed heartbeat is no failure. After two minutes without one, each miss logs a warning. */
const onMissed = (state: State, error: TinkerError.TinkerError): Effect.Effect<void> =>
  Effect.gen(function* () {
    // a 404 means that the session is gone only if the service has known it
    if (error._tag === "FutureExpired" || (error._tag === "NotFound" && state.hasSucceeded)) {
      return yield* endSession(state, error)
    }
    const silentMillis = (yield* Clock.currentTimeMillis) - state.lastSuccessMillis
    if (silentMillis > warnAfterMillis) {
      yield* Effect.logWarning(
        `no heartbeat has reached the service for ${Math.round(silentMillis / 1000)} s; ` +
          `if this lasts, it ends session ${state.sessionId}: ${error.message}`
      )
    }
  })

const sendHeartbeat = (state: State): Effect.Effect<void> =>
  state.client
    .call(
      TinkerApi.sessionHeartbeat,
      { session_id: state.sessionId, type: "session_heartbeat" },
      { policy: singleAttempt }
    )
    .pipe(
      Effect.flatMap(() => Clock.currentTimeMillis),
      Effect.map((now) => {
        state.hasSucceeded = true
        state.lastSuccessMillis = now
      }),
      Effect.catchAll((error) => onMissed(state, error))
    )

/** Sends a heartbeat every ten seconds, until the session is lost or the scope closes. @internal */
export const start = (
  client: TinkerClient.Service,
  sessionId: string,
  lost: Deferred.Deferred<never, TinkerError.SessionLost>
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const state: State = { client, sessionId, lost, lastSuccessMillis: now, hasSucceeded: false }
    return sendHeartbeat(state).pipe(
      Effect.delay(interval),
      Effect.andThen(Deferred.isDone(lost)),
      Effect.repeat({ until: (isLost) => isLost }),
      Effect.forkScoped,
      Effect.asVoid
    )
  })
