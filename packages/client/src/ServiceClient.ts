/**
 * The way in: one session with the service, from which training and sampling clients are made.
 *
 * @since 0.1.0
 */
import type * as Future from "@effect-tinker/api/Future"
import * as Model from "@effect-tinker/api/Model"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as SessionApi from "@effect-tinker/api/Session"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Weights from "@effect-tinker/api/Weights"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as codec from "./internal/codec/endpoint.ts"
import * as sessionLimits from "./internal/limits/sessionLimits.ts"
import { instrument } from "./internal/telemetry/instrument.ts"
import * as progress from "./internal/polling/progress.ts"
import { retrieve } from "./internal/polling/retrieve.ts"
import * as validate from "./internal/training/validate.ts"
import * as QueueState from "./QueueState.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as SamplingClient from "./SamplingClient.ts"
import * as Session from "./Session.ts"
import * as TinkerClient from "./TinkerClient.ts"
import * as TinkerConfig from "./TinkerConfig.ts"
import * as TinkerFuture from "./TinkerFuture.ts"
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
  /** `adamw` by default */
  readonly optimizer_config?: Model.OptimizerConfig | undefined
  readonly user_metadata?: { readonly [key: string]: string } | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface StateOptions {
  /** the checkpoint's own by default; another one must be compatible with it */
  readonly base_model?: string | undefined
  /** the key of the account that the checkpoint belongs to, where that is another one */
  readonly weights_access_token?: Redacted.Redacted | undefined
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
    options: ({ readonly model_path: string } | { readonly base_model: string }) & SamplingClient.ClientOptions
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

    const limits = sessionLimits.of(session)

    /** Submits what makes a model, and waits for its result. */
    const create = <A, I>(
      method: string,
      about: string,
      operation: {
        readonly type: Future.RequestType
        readonly schema: Schema.Schema<A, I>
        readonly send: (
          options: Pick<TinkerClient.CallOptions, "method" | "onRetry">
        ) => Effect.Effect<Future.FutureEnvelope, TinkerError.TinkerError>
      }
    ): Effect.Effect<A, TinkerError.TinkerError> =>
      Effect.gen(function* () {
        const noProgressLimit = yield* TinkerFuture.NoProgressLimit
        const queue = yield* QueueState.make(about)
        return yield* instrument(`ServiceClient.${method}`, {}, (record) =>
          Effect.gen(function* () {
            const { request_id } = yield* RetryPolicy.retryUnreadable(
              operation.send({ method, onRetry: () => record.noteRetry() })
            )
            record.noteAccepted()
            return yield* retrieve(client, {
              method,
              requestId: request_id,
              type: operation.type,
              schema: operation.schema,
              queue,
              responses: limits.responses,
              record,
              progress: progress.make(),
              noProgressLimit
            })
          })
        )
      })

    const createLoraTrainingClient: Service["createLoraTrainingClient"] = Effect.fnUntraced(function* (options) {
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
      const model_seq_id = yield* session.nextModelSeqId
      const { model_id } = yield* create(method, `Creation of a model on ${options.base_model}`, {
        type: "CreateModel",
        schema: Model.CreateModelResponse,
        send: (call) =>
          client.call(
            TinkerApi.createModel,
            {
              session_id,
              model_seq_id,
              base_model: options.base_model,
              lora_config,
              ...(options.optimizer_config === undefined ? {} : { optimizer_config: options.optimizer_config }),
              ...(options.user_metadata === undefined ? {} : { user_metadata: options.user_metadata }),
              type: "create_model"
            },
            call
          )
      })
      return yield* TrainingClient.make({ client, session, modelId: model_id, baseModel: options.base_model })
    })

    const createsByLoading = session.clientConfig.create_model_via_load_weights

    const fromState = (
      method: "createTrainingClientFromState" | "createTrainingClientFromStateWithOptimizer"
    ): Service["createTrainingClientFromState"] =>
      Effect.fn(`ServiceClient.${method}`)(function* (
        path,
        { base_model, user_metadata, weights_access_token: token } = {}
      ) {
        yield* validate.checkStatePath(method, path)
        const optimizer = method === "createTrainingClientFromStateWithOptimizer"
        const info = yield* client.call(
          TinkerApi.weightsInfo,
          { tinker_path: path },
          // the owner's key opens what belongs to another account
          { method, ...(token === undefined ? {} : { headers: { "x-api-key": Redacted.value(token) } }) }
        )
        if (createsByLoading) {
          const model_seq_id = yield* session.nextModelSeqId
          const loaded = yield* create(method, `Creation of a model from ${path}`, {
            type: "LoadWeights",
            schema: Weights.LoadWeightsResponse,
            send: (call) =>
              client.call(
                TinkerApi.loadWeights,
                {
                  session_id,
                  model_seq_id,
                  path,
                  optimizer,
                  ...(base_model === undefined ? {} : { base_model }),
                  ...(user_metadata === undefined ? {} : { user_metadata }),
                  ...(token === undefined ? {} : { weights_access_token: Redacted.value(token) }),
                  type: "load_weights"
                },
                call
              )
          })
          return yield* TrainingClient.make({
            client,
            session,
            // a model that loading creates has this id
            modelId: loaded.model_id ?? `${session_id}:train:${model_seq_id}`,
            baseModel: base_model ?? info.base_model
          })
        }
        const training = yield* createLoraTrainingClient({
          base_model: base_model ?? info.base_model,
          rank: info.lora_rank,
          train_attn: info.train_attn,
          train_mlp: info.train_mlp,
          train_unembed: info.train_unembed,
          optimizer_config: info.optimizer_config,
          user_metadata
        })
        const options = { weights_access_token: token }
        yield* yield* optimizer ? training.loadStateWithOptimizer(path, options) : training.loadState(path, options)
        return training
      })

    const createSamplingClient: Service["createSamplingClient"] = (options) =>
      SamplingClient.create({ client, session, ...options })

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
