/**
 * The way in: one session with the service, from which training and sampling clients are made.
 *
 * @since 0.1.0
 */
import * as Model from "@effect-tinker/api/Model"
import * as OperationsApi from "@effect-tinker/api/OperationsApi"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as SessionApi from "@effect-tinker/api/Session"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as codec from "./internal/codec.ts"
import { retrieve } from "./internal/retrieve.ts"
import * as SamplingClient from "./SamplingClient.ts"
import * as Session from "./Session.ts"
import * as TinkerClient from "./TinkerClient.ts"
import * as TinkerConfig from "./TinkerConfig.ts"
import * as TrainingClient from "./TrainingClient.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface LoraOptions {
  readonly base_model: string
  /** 32 by default */
  readonly rank?: number | undefined
  /** of the adapter's first values; chosen by the service by default */
  readonly seed?: number | undefined
  readonly train_attn?: boolean | undefined
  readonly train_mlp?: boolean | undefined
  readonly train_unembed?: boolean | undefined
  readonly user_metadata?: { readonly [key: string]: string } | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface StateOptions {
  readonly user_metadata?: { readonly [key: string]: string } | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly sessionId: string
  /**
   * Fails when the service says that the session has ended, and waits until then. Race a program with it to stop at
   * once: `Effect.raceFirst(program, service.sessionLost)`.
   */
  readonly sessionLost: Effect.Effect<never, TinkerError.SessionLost>
  readonly getServerCapabilities: Effect.Effect<SessionApi.GetServerCapabilitiesResponse, TinkerError.TinkerError>
  /** A new adapter on a base model. The client lives as long as the scope. */
  readonly createLoraTrainingClient: (
    options: LoraOptions
  ) => Effect.Effect<TrainingClient.TrainingClient, TinkerError.TinkerError, Scope.Scope>
  /** A new client that goes on from a training state, with a fresh optimizer. */
  readonly createTrainingClientFromState: (
    path: string,
    options?: StateOptions
  ) => Effect.Effect<TrainingClient.TrainingClient, TinkerError.TinkerError, Scope.Scope>
  /** A new client that goes on exactly where the training state was saved, optimizer included. */
  readonly createTrainingClientFromStateWithOptimizer: (
    path: string,
    options?: StateOptions
  ) => Effect.Effect<TrainingClient.TrainingClient, TinkerError.TinkerError, Scope.Scope>
  /** Samples from saved sampler weights, or from a base model. */
  readonly createSamplingClient: (
    options: { readonly model_path: string } | { readonly base_model: string }
  ) => Effect.Effect<SamplingClient.SamplingClient, TinkerError.TinkerError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class ServiceClient extends Context.Tag("@effect-tinker/client/ServiceClient")<ServiceClient, Service>() {}

const readLora = codec.input("createLoraTrainingClient", "options", Model.LoraConfig)

/**
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service, never, TinkerClient.TinkerClient | Session.Session> = Effect.gen(
  function* () {
    const client = yield* TinkerClient.TinkerClient
    const session = yield* Session.Session
    const session_id = session.sessionId

    const createLoraTrainingClient: Service["createLoraTrainingClient"] = Effect.fn(
      "ServiceClient.createLoraTrainingClient"
    )(function* (options) {
      const method = "createLoraTrainingClient"
      const invalid = (path: string, reason: string) => new TinkerError.InvalidInput({ method, path, reason })
      if (options.base_model.trim() === "") return yield* invalid("base_model", "is empty: name a base model")
      const lora_config = yield* readLora({
        rank: options.rank ?? 32,
        train_attn: options.train_attn ?? true,
        train_mlp: options.train_mlp ?? true,
        train_unembed: options.train_unembed ?? true,
        ...(options.seed === undefined ? {} : { seed: options.seed })
      })
      if (!lora_config.train_attn && !lora_config.train_mlp && !lora_config.train_unembed) {
        return yield* invalid("train_attn, train_mlp, train_unembed", "are all false: train one of them")
      }
      const { request_id } = yield* client.call(
        TinkerApi.createModel,
        {
          session_id,
          model_seq_id: yield* session.nextModelSeqId,
          base_model: options.base_model,
          lora_config,
          ...(options.user_metadata === undefined ? {} : { user_metadata: options.user_metadata }),
          type: "create_model"
        },
        { method }
      )
      const { model_id } = yield* retrieve(client, {
        method,
        requestId: request_id,
        type: "CreateModel",
        schema: Model.CreateModelResponse
      })
      return yield* TrainingClient.make({ client, session, modelId: model_id, baseModel: options.base_model })
    })

    const fromState = (
      method: "createTrainingClientFromState" | "createTrainingClientFromStateWithOptimizer"
    ): Service["createTrainingClientFromState"] =>
      Effect.fn(`ServiceClient.${method}`)(function* (path, { user_metadata } = {}) {
        yield* TrainingClient.checkStatePath(method, path)
        const info = yield* client.call(OperationsApi.weightsInfo, { tinker_path: path }, { method })
        const training = yield* createLoraTrainingClient({
          base_model: info.base_model,
          rank: info.lora_rank,
          train_attn: info.train_attn,
          train_mlp: info.train_mlp,
          train_unembed: info.train_unembed,
          user_metadata
        })
        yield* yield* method === "createTrainingClientFromState"
          ? training.loadState(path)
          : training.loadStateWithOptimizer(path)
        return training
      })

    const createSamplingClient: Service["createSamplingClient"] = Effect.fn("ServiceClient.createSamplingClient")(
      function* (options) {
        const method = "createSamplingClient"
        if (
          "model_path" in options &&
          !Option.exists(TinkerPath.parse(options.model_path), ({ kind }) => kind === "sampler_weights")
        ) {
          return yield* new TinkerError.InvalidInput({
            method,
            path: "model_path",
            reason: `is ${JSON.stringify(options.model_path)}: give "tinker://<training run>/sampler_weights/<name>"`
          })
        }
        const request: typeof Sampling.CreateSamplingSessionRequest.Type = {
          session_id,
          sampling_session_seq_id: yield* session.nextSamplingSeqId,
          ...("model_path" in options ? { model_path: options.model_path } : { base_model: options.base_model }),
          type: "create_sampling_session"
        }
        const created = yield* client.call(TinkerApi.createSamplingSession, request, { method })
        return yield* SamplingClient.make(client, created.sampling_session_id)
      }
    )

    return {
      sessionId: session_id,
      sessionLost: session.sessionLost,
      getServerCapabilities: client.call(TinkerApi.getServerCapabilities, undefined as never),
      createLoraTrainingClient,
      createTrainingClientFromState: fromState("createTrainingClientFromState"),
      createTrainingClientFromStateWithOptimizer: fromState("createTrainingClientFromStateWithOptimizer"),
      createSamplingClient
    }
  }
)

/**
 * Opens a session over a transport of the caller's.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoDeps: Layer.Layer<ServiceClient, TinkerError.TinkerError, TinkerClient.TinkerClient> = Layer.effect(
  ServiceClient,
  make
).pipe(Layer.provide(Session.layer))

const over = (
  config: Layer.Layer<TinkerConfig.TinkerConfig, TinkerError.InvalidInput>
): Layer.Layer<ServiceClient, TinkerError.TinkerError, HttpClient.HttpClient> =>
  layerNoDeps.pipe(Layer.provide(TinkerClient.layer), Layer.provide(config))

/**
 * Opens a session with the service that the options name. Two layers share nothing but what they are given.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: TinkerConfig.Options
): Layer.Layer<ServiceClient, TinkerError.TinkerError, HttpClient.HttpClient> => over(TinkerConfig.layer(options))

/**
 * Opens a session with the service that the environment names: `TINKER_API_KEY`, `TINKER_BASE_URL`, ...
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: TinkerConfig.Options = {}
): Layer.Layer<ServiceClient, TinkerError.TinkerError, HttpClient.HttpClient> => over(TinkerConfig.layerConfig(options))
