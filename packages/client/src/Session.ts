/**
 * One session with the service: opened with the scope, kept alive by heartbeats, and finished when the scope closes. A
 * program that ends without closing it is forgotten by the service once the heartbeats cease.
 *
 * @since 0.1.0
 */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as Api from "@effect-tinker/api/Session"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import * as ClientFlags from "./ClientFlags.ts"
import { version } from "./internal/util/version.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as TinkerClient from "./TinkerClient.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly sessionId: string
  /** what the service wants of its clients, defaults filled in */
  readonly clientConfig: ClientFlags.ClientConfig
  /** the newest of the flags that change while a session runs */
  readonly dynamicConfig: Effect.Effect<ClientFlags.DynamicConfig>
  /**
   * Fails when the service says that the session has ended, and waits until then. Race a program with it to stop at
   * once: `Effect.raceFirst(program, session.sessionLost)`.
   */
  readonly sessionLost: Effect.Effect<never, TinkerError.SessionLost>
  /** holds what works for the session in the background */
  readonly scope: Scope.Scope
  /**
   * Tells the service in the background that nobody waits for a sample any more, if it wants to know
   * (`sample_cancel_enabled`).
   */
  readonly abandon: (request_id: string) => Effect.Effect<void>
  /** numbers the models of the session from 0 */
  readonly nextModelSeqId: Effect.Effect<number>
  /** numbers the session's samplers from 0 */
  readonly nextSamplingSeqId: Effect.Effect<number>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Session extends Context.Tag("@effect-tinker/client/Session")<Session, Service>() {}

/**
 * How often a session says that it lives.
 *
 * @since 0.1.0
 * @category constants
 */
export const heartbeatInterval = Duration.seconds(10)

// what is said again soon anyway is tried once
const once: RetryPolicy.RetryPolicy = { ...RetryPolicy.never, timeout: "10 seconds", billingPause: false }
const cancelPolicy: RetryPolicy.RetryPolicy = { ...RetryPolicy.never, timeout: "30 seconds", billingPause: false }
// the service ends the oldest ones by itself
const maxAbandoned = 10_000
const closeWithin = Duration.seconds(5)
const warnAfterMillis = 120_000
const minRefreshSeconds = 10

const sayMessages = (response: typeof Api.CreateSessionResponse.Type) =>
  Effect.all(
    [
      response.info_message === undefined ? Effect.void : Effect.logInfo(response.info_message),
      response.warning_message === undefined ? Effect.void : Effect.logWarning(response.warning_message),
      response.error_message === undefined ? Effect.void : Effect.logError(response.error_message)
    ],
    { discard: true }
  )

const within = (effect: Effect.Effect<unknown, TinkerError.TinkerError>) =>
  effect.pipe(Effect.interruptible, Effect.timeoutOption(closeWithin), Effect.ignore)

/** Tells the service how the session went, as far as it listens. */
const close = Effect.fnUntraced(function* (
  client: TinkerClient.Service,
  session_id: string,
  lost: Deferred.Deferred<never, TinkerError.SessionLost>,
  exit: Exit.Exit<unknown, unknown>
) {
  const { telemetry } = client
  const type = Exit.isSuccess(exit) ? "success" : Exit.isInterrupted(exit) ? "interrupted" : "errored"
  if (Exit.isFailure(exit) && type === "errored") yield* telemetry.failure(exit.cause)
  yield* telemetry.endSession
  const finish = client
    .call(
      TinkerApi.finishSession,
      { reason: { type }, detail: null },
      { path: { session_id }, policy: { ...once, timeout: closeWithin } }
    )
    .pipe(Effect.unlessEffect(Deferred.isDone(lost)))
  yield* Effect.all([within(finish), within(telemetry.flush)], { concurrency: "unbounded", discard: true })
})

/**
 * Asks for the configurations (a service without them is fine), opens a session, and beats every ten seconds until the
 * scope closes; the dynamic configuration is asked for again as often as it says. A missed beat never ends the loop; after
 * two minutes without one a warning is logged at each miss. When the scope closes, the service is told how it went, and
 * what telemetry waits is sent, both within five seconds.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service, TinkerError.TinkerError, TinkerClient.TinkerClient | Scope.Scope> =
  Effect.gen(function* () {
    const client = yield* TinkerClient.TinkerClient
    const clientConfig = yield* client.clientConfig
    const dynamicConfig = yield* Ref.make(ClientFlags.dynamicDefaults)
    const refresh = client.call(TinkerApi.clientDynamicConfig, { sdk_version: version }, { policy: once }).pipe(
      Effect.flatMap((response) => Ref.set(dynamicConfig, ClientFlags.fromDynamicConfig(response))),
      // the last values stay; a service that has none to give is no news
      Effect.catchAll((error) => Effect.logDebug(`the dynamic configuration stays as it is: ${error.message}`))
    )
    yield* refresh
    const created = yield* client.call(TinkerApi.createSession, {
      tags: client.config.tags,
      user_metadata: client.config.userMetadata,
      sdk_version: version,
      type: "create_session",
      ...(client.config.projectId === undefined ? {} : { project_id: client.config.projectId }),
      ...(client.config.displayName === undefined ? {} : { display_name: client.config.displayName })
    })
    const session_id = created.session_id
    const lost = yield* Deferred.make<never, TinkerError.SessionLost>()
    yield* Effect.addFinalizer((exit) => close(client, session_id, lost, exit))
    yield* client.telemetry.startSession(session_id)
    yield* sayMessages(created)

    const lastSuccess = yield* Ref.make(yield* Clock.currentTimeMillis)
    let everBeat = false
    const end = Effect.fnUntraced(function* (error: TinkerError.FutureExpired | TinkerError.NotFound) {
      const event = new TinkerError.SessionLost({
        method: "sessionHeartbeat",
        sessionId: session_id,
        reason: error.detail || `the service answered ${error.status}`
      })
      yield* Effect.logError(event.message)
      yield* Deferred.fail(lost, event)
    })
    const missed = (error: TinkerError.TinkerError) =>
      Effect.gen(function* () {
        // a service that knew the session a moment ago
        if (error._tag === "FutureExpired" || (error._tag === "NotFound" && everBeat)) return yield* end(error)
        const silent = (yield* Clock.currentTimeMillis) - (yield* Ref.get(lastSuccess))
        if (silent > warnAfterMillis) {
          yield* Effect.logWarning(
            `no heartbeat has reached the service for ${Math.round(silent / 1000)} s; ` +
              `if this lasts, it ends session ${session_id}: ${error.message}`
          )
        }
      })
    const beat = client
      .call(TinkerApi.sessionHeartbeat, { session_id, type: "session_heartbeat" }, { policy: once })
      .pipe(
        Effect.zipRight(Clock.currentTimeMillis),
        Effect.flatMap((now) => {
          everBeat = true
          return Ref.set(lastSuccess, now)
        }),
        Effect.catchAll(missed)
      )
    yield* Ref.get(dynamicConfig).pipe(
      Effect.flatMap(({ refresh_interval_sec }) =>
        Effect.sleep(Duration.seconds(Math.max(refresh_interval_sec, minRefreshSeconds)))
      ),
      Effect.zipRight(refresh),
      Effect.forever,
      Effect.forkScoped
    )
    yield* beat.pipe(
      Effect.delay(heartbeatInterval),
      Effect.zipRight(Deferred.isDone(lost)),
      Effect.repeat({ until: (isLost) => isLost }),
      Effect.forkScoped
    )

    const scope = yield* Effect.scope
    const abandoned = yield* Queue.sliding<string>(maxAbandoned)
    const cancelSome = Effect.gen(function* () {
      const { sample_cancel_max_batch_size } = yield* Ref.get(dynamicConfig)
      const ids = yield* Queue.takeBetween(abandoned, 1, Math.max(1, sample_cancel_max_batch_size))
      yield* Effect.forEach(
        ids,
        (request_id) =>
          client
            .call(TinkerApi.cancelFuture, { request_id }, { policy: cancelPolicy })
            .pipe(Effect.catchAll((error) => Effect.logDebug(`a sample was not cancelled: ${error.message}`))),
        { concurrency: "unbounded", discard: true }
      )
    })
    yield* Effect.forkScoped(Effect.forever(cancelSome))

    const counter = Effect.map(Ref.make(0), (ref) => Ref.getAndUpdate(ref, (n) => n + 1))
    return {
      sessionId: session_id,
      sessionLost: Deferred.await(lost),
      clientConfig,
      dynamicConfig: Ref.get(dynamicConfig),
      scope,
      abandon: (request_id) =>
        Effect.flatMap(Ref.get(dynamicConfig), ({ sample_cancel_enabled }) =>
          sample_cancel_enabled ? Queue.offer(abandoned, request_id) : Effect.void
        ),
      nextModelSeqId: yield* counter,
      nextSamplingSeqId: yield* counter
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Session, TinkerError.TinkerError, TinkerClient.TinkerClient> = Layer.scoped(
  Session,
  make
)
