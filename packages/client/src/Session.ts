/**
 * One session with the service: opened with the scope, kept alive by heartbeats, and finished when the scope closes. If
 * the program dies before that, the service ends the session once the heartbeats stop.
 *
 * @since 0.1.0
 */
import type * as Api from "@effect-tinker/api/Session"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import * as ClientFlags from "./ClientFlags.ts"
import * as cancellations from "./internal/session/cancellations.ts"
import { close } from "./internal/session/close.ts"
import { instrument } from "./internal/telemetry/instrument.ts"
import * as dynamicConfig from "./internal/session/dynamicConfig.ts"
import * as heartbeats from "./internal/session/heartbeats.ts"
import { version } from "./internal/util/version.ts"
import * as TinkerClient from "./TinkerClient.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly sessionId: string
  /** the service's settings for its clients, with defaults filled in */
  readonly clientConfig: ClientFlags.ClientConfig
  /** the latest settings that may change during a session */
  readonly dynamicConfig: Effect.Effect<ClientFlags.DynamicConfig>
  /**
   * Waits, and fails when the service has ended the session. To stop a program then, race it:
   * `Effect.raceFirst(program, session.sessionLost)`.
   */
  readonly sessionLost: Effect.Effect<never, TinkerError.SessionLost>
  /** the scope of the session's background fibers */
  readonly scope: Scope.Scope
  /**
   * Cancels a sample in the background, if the service supports that (`sample_cancel_enabled`). The argument returns its
   * request id.
   */
  readonly cancelSample: (requestId: Effect.Effect<string, TinkerError.TinkerError>) => Effect.Effect<void>
  /** Notes a model of the session. Where the service cannot finish sessions, it is unloaded when the session closes. */
  readonly noteModel: (model_id: string) => Effect.Effect<void>
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

const createSession = (
  client: TinkerClient.Service
): Effect.Effect<typeof Api.CreateSessionResponse.Type, TinkerError.TinkerError> => {
  const { displayName, projectId, tags, userMetadata } = client.config
  return client.call(TinkerApi.createSession, {
    tags,
    user_metadata: userMetadata,
    sdk_version: version,
    type: "create_session",
    ...(projectId === undefined ? {} : { project_id: projectId }),
    ...(displayName === undefined ? {} : { display_name: displayName })
  })
}

/** Logs the messages that the service has for its users. */
const logMessages = ({
  error_message,
  info_message,
  warning_message
}: typeof Api.CreateSessionResponse.Type): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (info_message !== undefined) yield* Effect.logInfo(info_message)
    if (warning_message !== undefined) yield* Effect.logWarning(warning_message)
    if (error_message !== undefined) yield* Effect.logError(error_message)
  })

const makeCounter: Effect.Effect<Effect.Effect<number>> = Effect.map(Ref.make(0), (ref) =>
  Ref.getAndUpdate(ref, (n) => n + 1)
)

/**
 * Requests the configurations (a service may have none), and opens a session. It sends a heartbeat every ten seconds until
 * the scope closes; a missed one never ends that, but after two minutes without one, each miss logs a warning. When the
 * scope closes, the session is finished and the remaining telemetry is sent, within five seconds.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service, TinkerError.TinkerError, TinkerClient.TinkerClient | Scope.Scope> =
  Effect.gen(function* () {
    const client = yield* TinkerClient.TinkerClient
    const clientConfig = yield* client.clientConfig
    const config = yield* Ref.make(ClientFlags.dynamicDefaults)
    yield* dynamicConfig.refresh(client, config)
    const created = yield* instrument("ServiceClient.createSession", {}, () => createSession(client))
    const sessionId = created.session_id
    const lost = yield* Deferred.make<never, TinkerError.SessionLost>()
    const models = new Set<string>()
    yield* Effect.addFinalizer((exit) => close(client, { sessionId, models, lost }, exit))
    yield* client.telemetry.startSession(sessionId)
    yield* logMessages(created)
    yield* Effect.forkScoped(dynamicConfig.refreshForever(client, config))
    yield* heartbeats.start(client, sessionId, lost)
    return {
      sessionId,
      sessionLost: Deferred.await(lost),
      clientConfig,
      dynamicConfig: Ref.get(config),
      scope: yield* Effect.scope,
      cancelSample: yield* cancellations.make(client, Ref.get(config)),
      noteModel: (model_id) => Effect.sync(() => void models.add(model_id)),
      nextModelSeqId: yield* makeCounter,
      nextSamplingSeqId: yield* makeCounter
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
