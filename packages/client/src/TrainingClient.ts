/**
 * Trains one model. Each operation is submitted in call order when its effect runs, and returns its future at once, so
 * that the next can be submitted right behind it; results are awaited when they are needed.
 *
 * @since 0.1.0
 */
import * as Datum from "@effect-tinker/api/Datum"
import type * as Future from "@effect-tinker/api/Future"
import type * as LossFn from "@effect-tinker/api/LossFn"
import type * as Model from "@effect-tinker/api/Model"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Training from "@effect-tinker/api/Training"
import * as Weights from "@effect-tinker/api/Weights"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as chunking from "./internal/chunking.ts"
import * as codec from "./internal/codec.ts"
import { combine } from "./internal/combine.ts"
import * as passSender from "./internal/passSender.ts"
import * as submissions from "./internal/submissions.ts"
import * as QueueState from "./QueueState.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as SamplingClient from "./SamplingClient.ts"
import type * as Session from "./Session.ts"
import type * as TinkerClient from "./TinkerClient.ts"
import type * as TinkerFuture from "./TinkerFuture.ts"

/**
 * The outer effect fails for bad input alone, before anything is sent; the future fails with whatever happens later.
 *
 * @since 0.1.0
 * @category models
 */
export type Submitted<A> = Effect.Effect<TinkerFuture.TinkerFuture<A>, TinkerError.InvalidInput>

/**
 * @since 0.1.0
 * @category models
 */
export interface SaveOptions {
  /** kept for ever by default */
  readonly ttl_seconds?: number | undefined
  /** replace a checkpoint of the same name */
  readonly overwrite?: boolean | undefined
}

/**
 * Where named weights for sampling are.
 *
 * @since 0.1.0
 * @category models
 */
export interface SavedForSampler {
  readonly path: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface TrainingClient {
  readonly modelId: string
  readonly baseModel: string
  /** The loss and its outputs; no gradient is kept. */
  readonly forward: <const L extends LossFn.LossFn>(
    data: ReadonlyArray<Datum.For<L>>,
    lossFn: L,
    config?: LossFn.Config
  ) => Submitted<Training.ForwardBackwardOutput>
  /** The loss, its outputs, and gradients, which add up until the next `optimStep`. */
  readonly forwardBackward: <const L extends LossFn.LossFn>(
    data: ReadonlyArray<Datum.For<L>>,
    lossFn: L,
    config?: LossFn.Config
  ) => Submitted<Training.ForwardBackwardOutput>
  /** One AdamW step with the gradients so far, which are then cleared. */
  readonly optimStep: (params?: typeof Training.AdamParams.Encoded) => Submitted<Training.OptimStepResponse>
  /** Saves the weights and the optimizer, to go on from later. */
  readonly saveState: (name: string, options?: SaveOptions) => Submitted<Weights.SaveWeightsResponse>
  /** Loads weights; the optimizer starts afresh. Services may allow it only as the first operation. */
  readonly loadState: (path: string) => Submitted<Weights.LoadWeightsResponse>
  /** Loads weights and the optimizer, to go on exactly where they were saved. */
  readonly loadStateWithOptimizer: (path: string) => Submitted<Weights.LoadWeightsResponse>
  /** Saves the weights for sampling, under a name. */
  readonly saveWeightsForSampler: (
    name: string,
    options?: Pick<SaveOptions, "ttl_seconds">
  ) => Submitted<SavedForSampler>
  /** Samples from the weights as they are after all that was submitted before. */
  readonly saveWeightsAndGetSamplingClient: () => Effect.Effect<SamplingClient.SamplingClient, TinkerError.TinkerError>
  /** why results keep one waiting */
  readonly queueState: QueueState.Observable
  readonly getInfo: Effect.Effect<Model.GetInfoResponse, TinkerError.TinkerError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export const TrainingClient = Context.GenericTag<TrainingClient>("@effect-tinker/client/TrainingClient")

const invalid = (method: string, path: string, reason: string) => new TinkerError.InvalidInput({ method, path, reason })

const checkData = (method: string, data: ReadonlyArray<Datum.Datum>, lossFn: string) => {
  if (data.length === 0) return invalid(method, "data", "is empty: give it one datum or more")
  for (let i = 0; i < data.length; i++) {
    const problem = Datum.problem(data[i]!, lossFn)
    if (problem !== undefined) return invalid(method, `data[${i}].${problem.path}`, problem.reason)
  }
  return undefined
}

const checkConfig = (method: string, config: LossFn.Config) => {
  const bad = Object.entries(config).find(([, value]) => typeof value === "number" && !Number.isFinite(value))
  return bad === undefined
    ? undefined
    : invalid(method, `loss_fn_config.${bad[0]}`, `is ${bad[1]}: give a finite number`)
}

const checkName = (method: string, name: string) =>
  TinkerPath.isCheckpointName(name)
    ? undefined
    : invalid(method, "name", `is ${JSON.stringify(name)}: use letters, digits, "_", "-" and "."`)

const checkTtl = (method: string, seconds: number | undefined) =>
  seconds === undefined || (Number.isInteger(seconds) && seconds > 0)
    ? undefined
    : invalid(method, "ttl_seconds", `is ${seconds}: give a whole number above 0`)

/** Fails with `InvalidInput` unless the path is a training state's. @internal */
export const checkStatePath = (method: string, path: string): Effect.Effect<void, TinkerError.InvalidInput> =>
  Option.exists(TinkerPath.parse(path), ({ kind }) => kind === "weights")
    ? Effect.void
    : invalid(method, "path", `is ${JSON.stringify(path)}: give "tinker://<training run>/weights/<name>"`)

// the contract leaves either out of the other's answer
const SavedNamed = Schema.Struct({ path: Schema.String })
const SavedUnnamed = Schema.Struct({ sampling_session_id: Schema.String })
const last = <A>(results: ReadonlyArray<A>): A => results[results.length - 1]!
const readAdam = codec.input("optimStep", "params", Training.AdamParams)

/**
 * A client for a model that exists and has no operations yet. Its fibers live in the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly client: TinkerClient.Service
  readonly session: Session.Service
  readonly modelId: string
  readonly baseModel: string
}): Effect.fn.Return<TrainingClient, never, Scope.Scope> {
  const { client, modelId: model_id, session } = options
  const scope = yield* Effect.scope
  const queueState = yield* QueueState.make(`Training of ${model_id}`)
  const queue = yield* submissions.make(client, scope, queueState)
  const passes = yield* passSender.make(client, { compress: session.clientConfig.proto_compress_fwdbwd })
  const limits: chunking.Limits = {
    maxLength: session.clientConfig.fwdbwd_max_chunk_len,
    maxBytes: session.clientConfig.fwdbwd_max_chunk_bytes_count
  }

  const pass =
    (method: "forward" | "forwardBackward", type: Future.RequestType): TrainingClient["forwardBackward"] =>
    (data, loss_fn, config) =>
      Effect.gen(function* () {
        const problem = checkData(method, data, loss_fn) ?? checkConfig(method, config ?? {})
        if (problem !== undefined) return yield* problem
        const policy = yield* RetryPolicy.CurrentRetryPolicy
        const chunks = chunking.chunk(data, limits)
        return yield* queue.submit({
          method,
          type,
          schema: Training.ForwardBackwardOutput,
          changesTraining: method === "forwardBackward",
          count: chunks.length,
          protobuf: ProtobufCodec.decodeForwardBackwardOutput,
          send: (seq_id, index) =>
            passes.send(
              {
                forward_backward_input: {
                  data: chunks[index]!,
                  loss_fn,
                  ...(config === undefined ? {} : { loss_fn_config: config })
                },
                model_id,
                seq_id,
                forward_only: method === "forward"
              },
              { method, policy }
            ),
          combine
        })
      })

  // an operation of one request, under the policy of the call
  const single = Effect.fnUntraced(function* <A, I>(
    operation: Pick<submissions.Operation<A, I, A>, "method" | "type" | "schema" | "changesTraining">,
    send: (
      seq_id: number,
      options: Pick<TinkerClient.CallOptions, "method" | "policy">
    ) => ReturnType<submissions.Operation<A, I, A>["send"]>
  ) {
    const policy = yield* RetryPolicy.CurrentRetryPolicy
    return yield* queue.submit({
      ...operation,
      count: 1,
      send: (seq_id) => send(seq_id, { method: operation.method, policy }),
      combine: last
    })
  })

  const load = (method: "loadState" | "loadStateWithOptimizer"): TrainingClient["loadState"] =>
    Effect.fn(`TrainingClient.${method}`)(function* (path) {
      yield* checkStatePath(method, path)
      return yield* single(
        { method, type: "LoadWeights", schema: Weights.LoadWeightsResponse, changesTraining: true },
        (seq_id, options) =>
          client.call(
            TinkerApi.loadWeights,
            { model_id, path, optimizer: method === "loadStateWithOptimizer", seq_id, type: "load_weights" },
            options
          )
      )
    })

  const saveForSampler = <A, I>(
    method: string,
    schema: Schema.Schema<A, I>,
    target: { readonly path: string } | { readonly sampling_session_seq_id: number },
    ttl_seconds?: number | undefined
  ) =>
    single({ method, type: "SaveWeightsForSampler", schema, changesTraining: false }, (seq_id, options) =>
      client.call(
        TinkerApi.saveWeightsForSampler,
        {
          model_id,
          ...target,
          seq_id,
          ...(ttl_seconds === undefined ? {} : { ttl_seconds }),
          type: "save_weights_for_sampler"
        },
        options
      )
    )

  return {
    modelId: model_id,
    baseModel: options.baseModel,
    forward: pass("forward", "Forward"),
    forwardBackward: pass("forwardBackward", "ForwardBackward"),
    optimStep: Effect.fn("TrainingClient.optimStep")(function* (params = {}) {
      const adam_params = yield* readAdam(params)
      return yield* single(
        { method: "optimStep", type: "OptimStep", schema: Training.OptimStepResponse, changesTraining: true },
        (seq_id, options) =>
          client.call(TinkerApi.optimStep, { adam_params, model_id, seq_id, type: "optim_step" }, options)
      )
    }),
    saveState: Effect.fn("TrainingClient.saveState")(function* (name, { overwrite = false, ttl_seconds } = {}) {
      const method = "saveState"
      const problem = checkName(method, name) ?? checkTtl(method, ttl_seconds)
      if (problem !== undefined) return yield* problem
      return yield* single(
        { method, type: "SaveWeights", schema: Weights.SaveWeightsResponse, changesTraining: false },
        (seq_id, options) =>
          client.call(
            TinkerApi.saveWeights,
            {
              model_id,
              path: name,
              seq_id,
              ...(ttl_seconds === undefined ? {} : { ttl_seconds }),
              overwrite,
              type: "save_weights"
            },
            options
          )
      )
    }),
    loadState: load("loadState"),
    loadStateWithOptimizer: load("loadStateWithOptimizer"),
    saveWeightsForSampler: Effect.fn("TrainingClient.saveWeightsForSampler")(function* (name, { ttl_seconds } = {}) {
      const method = "saveWeightsForSampler"
      const problem = checkName(method, name) ?? checkTtl(method, ttl_seconds)
      if (problem !== undefined) return yield* problem
      return yield* saveForSampler(method, SavedNamed, { path: name }, ttl_seconds)
    }),
    saveWeightsAndGetSamplingClient: Effect.fn("TrainingClient.saveWeightsAndGetSamplingClient")(function* () {
      const method = "saveWeightsAndGetSamplingClient"
      const seqId = yield* session.nextSamplingSeqId
      const { sampling_session_id } = yield* yield* saveForSampler(method, SavedUnnamed, {
        sampling_session_seq_id: seqId
      })
      return yield* SamplingClient.make(client, sampling_session_id)
    }),
    queueState: { current: queueState.current, changes: queueState.changes },
    getInfo: client.call(TinkerApi.getInfo, { model_id, type: "get_info" })
  }
})
