/**
 * The entry point: one session with the service, from which training and sampling clients are created.
 *
 * @since 0.1.0
 */
import type * as SessionApi from "@effect-tinker/api/Session"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as createFromState from "./internal/models/createFromState.ts"
import * as createModel from "./internal/models/createModel.ts"
import { instrument } from "./internal/telemetry/instrument.ts"
import { pointingAtCalls } from "./internal/util/callSite.ts"
import * as SamplingClient from "./SamplingClient.ts"
import * as Session from "./Session.ts"
import * as TinkerClient from "./TinkerClient.ts"
import * as TinkerConfig from "./TinkerConfig.ts"
import type * as TrainingClient from "./TrainingClient.ts"

export type { StateOptions } from "./internal/models/createFromState.ts"
export type { LoraOptions } from "./internal/models/createModel.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly sessionId: string
  /**
   * Waits, and fails when the service has ended the session. To stop a program then, race it:
   * `Effect.raceFirst(program, service.sessionLost)`.
   */
  readonly sessionLost: Effect.Effect<never, TinkerError.SessionLost>
  readonly getServerCapabilities: Effect.Effect<SessionApi.GetServerCapabilitiesResponse, TinkerError.TinkerError>
  /** Creates an adapter on a base model. The client is closed with the scope. */
  readonly createLoraTrainingClient: (
    options: createModel.LoraOptions
  ) => Effect.Effect<TrainingClient.TrainingClient, TinkerError.TinkerError, Scope.Scope>
  /** Creates a client that continues from a training state, with a new optimizer. */
  readonly createTrainingClientFromState: (
    path: string,
    options?: createFromState.StateOptions
  ) => Effect.Effect<TrainingClient.TrainingClient, TinkerError.TinkerError, Scope.Scope>
  /** Creates a client that continues exactly from a training state, including its optimizer. */
  readonly createTrainingClientFromStateWithOptimizer: (
    path: string,
    options?: createFromState.StateOptions
  ) => Effect.Effect<TrainingClient.TrainingClient, TinkerError.TinkerError, Scope.Scope>
  /** Creates a client that samples from saved sampler weights or from a base model. */
  readonly createSamplingClient: (
    options: ({ readonly model_path: string } | { readonly base_model: string }) & SamplingClient.ClientOptions
  ) => Effect.Effect<SamplingClient.SamplingClient, TinkerError.TinkerError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class ServiceClient extends Context.Tag("@effect-tinker/client/ServiceClient")<ServiceClient, Service>() {}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service, never, TinkerClient.TinkerClient | Session.Session> = Effect.gen(
  function* () {
    const client = yield* TinkerClient.TinkerClient
    const session = yield* Session.Session
    const context = { client, session }
    return pointingAtCalls<Service>({
      sessionId: session.sessionId,
      sessionLost: session.sessionLost,
      getServerCapabilities: instrument("ServiceClient.getServerCapabilities", {}, () =>
        client.call(TinkerApi.getServerCapabilities, undefined as never)
      ),
      createLoraTrainingClient: (options) => createModel.createLoraTrainingClient(context, options),
      createTrainingClientFromState: (path, options) =>
        createFromState.createFromState(context, "createTrainingClientFromState", path, options),
      createTrainingClientFromStateWithOptimizer: (path, options) =>
        createFromState.createFromState(context, "createTrainingClientFromStateWithOptimizer", path, options),
      createSamplingClient: (options) => SamplingClient.create({ client, session, ...options })
    })
  }
)

/**
 * Opens a session with the `TinkerClient` that is provided.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoDeps: Layer.Layer<ServiceClient, TinkerError.TinkerError, TinkerClient.TinkerClient> = Layer.effect(
  ServiceClient,
  make
).pipe(Layer.provide(Session.layer))

const withConfig = (
  config: Layer.Layer<TinkerConfig.TinkerConfig, TinkerError.InvalidInput>
): Layer.Layer<ServiceClient, TinkerError.TinkerError, HttpClient.HttpClient> =>
  layerNoDeps.pipe(Layer.provide(TinkerClient.layer), Layer.provide(config))

/**
 * Opens a session with the service that the options name. Two such layers share nothing but the `HttpClient`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: TinkerConfig.Options
): Layer.Layer<ServiceClient, TinkerError.TinkerError, HttpClient.HttpClient> => withConfig(TinkerConfig.layer(options))

/**
 * Opens a session with the service that the environment names: `TINKER_API_KEY`, `TINKER_BASE_URL`, ...
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: TinkerConfig.Options = {}
): Layer.Layer<ServiceClient, TinkerError.TinkerError, HttpClient.HttpClient> =>
  withConfig(TinkerConfig.layerConfig(options))
