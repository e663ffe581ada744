/**
 * Trains one model. Each operation is submitted in call order when its effect runs, and returns its future at once, so
 * that the next can be submitted right behind it; results are awaited when they are needed.
 *
 * @since 0.1.0
 */
import * as Datum from "@effect-tinker/api/Datum"
import type * as LossFn from "@effect-tinker/api/LossFn"
import type * as Model from "@effect-tinker/api/Model"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Training from "@effect-tinker/api/Training"
import * as Weights from "@effect-tinker/api/Weights"
import type * as Hub from "@effect-tinker/tokenizers/Hub"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Tokenizers from "@effect-tinker/tokenizers/Tokenizers"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as CustomLoss from "./CustomLoss.ts"
import * as chunking from "./internal/training/chunking.ts"
import * as codec from "./internal/codec/endpoint.ts"
import { combine } from "./internal/training/combineOutputs.ts"
import * as sessionLimits from "./internal/limits/sessionLimits.ts"
import * as passSender from "./internal/training/passSender.ts"
import * as submissions from "./internal/training/submissionQueue.ts"
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
export type Submitted<A, E = never, R = never> = Effect.Effect<
  TinkerFuture.TinkerFuture<A, TinkerError.TinkerError | E>,
  TinkerError.InvalidInput,
  R
>

/**
 * @since 0.1.0
 * @category models
 */
export interface SaveOptions {
  /** kept for ever by default */
  readonly ttl_seconds?: number | undefined
  /** replace a checkpoint of the same name */
  readonly overwrite?: boolean | undefined
  /** stored with the checkpoint */
  readonly user_metadata?: { readonly [key: string]: string } | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SaveForSamplerOptions {
  /** kept for ever by default */
  readonly ttl_seconds?: number | undefined
  /** `snapshot` by default: what was saved stays as it is; `inflight` samplers see later weights of the same name */
  readonly kind?: Weights.SamplerKind | undefined
  /** stored with the checkpoint */
  readonly user_metadata?: { readonly [key: string]: string } | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SaveExternalOptions {
  /** kept for ever by default */
  readonly ttl_seconds?: number | undefined
  /** who may read the files; anyone who has them, by default */
  readonly age_encryption_recipients?: ReadonlyArray<string> | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface LoadOptions {
  /** the key of the account that the checkpoint belongs to, where that is another one */
  readonly weights_access_token?: Redacted.Redacted | undefined
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
  /**
   * The gradients of a loss of the program's own, which is given the logprobs of the targets and returns its value and
   * its derivative by them. It is one turn of the client: what is called later is submitted after it, and computed after
   * it. When the loss fails, no gradient is applied, and the client goes on. The loss may await what was submitted
   * before, but must not submit to the same client.
   *
   * In the result `loss:sum` is the program's loss, and `surrogate_loss:sum` the one that carried its gradient.
   */
  readonly forwardBackwardCustom: <D extends CustomLoss.Target, E = never, R = never>(
    data: ReadonlyArray<D>,
    loss: CustomLoss.CustomLoss<D, E, R>
  ) => Submitted<Training.ForwardBackwardOutput, E, R>
  /** One AdamW step with the gradients so far, which are then cleared. */
  readonly optimStep: (params?: typeof Training.AdamParams.Encoded) => Submitted<Training.OptimStepResponse>
  /** One step of another optimizer than Adam, the one that the model was created with. */
  readonly optimizerStep: (params: typeof Training.OptimizerParams.Encoded) => Submitted<Training.OptimStepResponse>
  /** Saves the weights and the optimizer, to go on from later. */
  readonly saveState: (name: string, options?: SaveOptions) => Submitted<Weights.SaveWeightsResponse>
  /** Loads weights; the optimizer starts afresh. Services may allow it only as the first operation. */
  readonly loadState: (path: string, options?: LoadOptions) => Submitted<Weights.LoadWeightsResponse>
  /** Loads weights and the optimizer, to go on exactly where they were saved. */
  readonly loadStateWithOptimizer: (path: string, options?: LoadOptions) => Submitted<Weights.LoadWeightsResponse>
  /** Saves the weights for sampling, under a name. */
  readonly saveWeightsForSampler: (name: string, options?: SaveForSamplerOptions) => Submitted<SavedForSampler>
  /** Saves the weights as files that other programs read, under a name. */
  readonly saveWeightsExternal: (
    name: string,
    options?: SaveExternalOptions
  ) => Submitted<Weights.SaveWeightsExternalResponse>
  /** Samples from the weights as they are after all that was submitted before. */
  readonly saveWeightsAndGetSamplingClient: (
    options?: SamplingClient.ClientOptions
  ) => Effect.Effect<SamplingClient.SamplingClient, TinkerError.TinkerError>
  /** Samples from saved sampler weights. */
  readonly createSamplingClient: (
    model_path: string,
    options?: SamplingClient.ClientOptions
  ) => Effect.Effect<SamplingClient.SamplingClient, TinkerError.TinkerError>
  /** why results keep one waiting */
  readonly queueState: QueueState.Observable
  readonly getInfo: Effect.Effect<Model.GetInfoResponse, TinkerError.TinkerError>
  /** The tokenizer of the model, as the service and the model's name say. */
  readonly getTokenizer: Effect.Effect<
    Tokenizer.Service,
    TinkerError.TinkerError | Tokenizer.TokenizerError | Hub.HubError,
    Tokenizers.Tokenizers
  >
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
const checkMetadata = (method: string, metadata: { readonly [key: string]: unknown } | undefined) => {
  const bad = Object.entries(metadata ?? {}).find(([, value]) => typeof value !== "string")
  return bad === undefined ? undefined : invalid(method, `user_metadata.${bad[0]}`, "is no text")
}

const SavedNamed = Schema.Struct({ path: Schema.String })
const SavedUnnamed = Schema.Struct({ sampling_session_id: Schema.String })

// services may leave the kind out of a sampler's path
const samePath = (a: string, b: string) => {
  const [left, right] = [TinkerPath.parse(a), TinkerPath.parse(b)]
  return Option.isSome(left) && Option.isSome(right) && TinkerPath.format(left.value) === TinkerPath.format(right.value)
}

const last = <A>(results: ReadonlyArray<A>): A => results[results.length - 1]!
const readAdam = codec.input("optimStep", "params", Training.AdamParams)
const readOptimizer = codec.input("optimizerStep", "params", Training.OptimizerParams)

// how long a name that a lost save may have taken is looked for
const recognitionDelays = ["1 second", "2 seconds", "4 seconds", "8 seconds", "15 seconds"] as const

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
  const attributes = { "tinker.model_id": model_id }
  const queueState = yield* QueueState.make(`Training of ${model_id}`, attributes)
  const limits = sessionLimits.of(session)
  const queue = yield* submissions.make({
    client,
    scope,
    queueState,
    limits,
    name: "TrainingClient",
    attributes
  })
  const passes = yield* passSender.make(client, { compress: session.clientConfig.proto_compress_fwdbwd })
  const chunkLimits: chunking.Limits = {
    maxLength: session.clientConfig.fwdbwd_max_chunk_len,
    maxBytes: session.clientConfig.fwdbwd_max_chunk_bytes_count
  }
  const parallel = session.clientConfig.parallel_fwdbwd_chunks

  const passOperation = (options: {
    readonly method: string
    readonly forwardOnly: boolean
    readonly chunks: ReadonlyArray<ReadonlyArray<Datum.Datum>>
    readonly loss_fn: LossFn.LossFn
    readonly config?: LossFn.Config | undefined
    readonly policy: RetryPolicy.RetryPolicy
  }): submissions.Operation<
    Training.ForwardBackwardOutput,
    typeof Training.ForwardBackwardOutput.Encoded,
    Training.ForwardBackwardOutput
  > => {
    const { chunks, config, forwardOnly, loss_fn, method, policy } = options
    const bytes = chunks.map((chunk) => chunk.reduce((sum, datum) => sum + chunking.estimate(datum), 0))
    return {
      method,
      type: forwardOnly ? "Forward" : "ForwardBackward",
      schema: Training.ForwardBackwardOutput,
      protobuf: ProtobufCodec.decodeForwardBackwardOutput,
      changesTraining: !forwardOnly,
      count: chunks.length,
      parallel,
      bytes: bytes.reduce((sum, size) => sum + size, 0),
      send: (seq_id, index, running) =>
        passes
          .send(
            {
              forward_backward_input: {
                data: chunks[index]!,
                loss_fn,
                ...(config === undefined ? {} : { loss_fn_config: config })
              },
              model_id,
              seq_id,
              forward_only: forwardOnly
            },
            { method, policy, onRetry: () => running.retried() }
          )
          .pipe(limits.passes.withCost(bytes[index]!)),
      combine
    }
  }

  const pass =
    (method: "forward" | "forwardBackward"): TrainingClient["forwardBackward"] =>
    (data, loss_fn, config) =>
      Effect.gen(function* () {
        const problem = checkData(method, data, loss_fn) ?? checkConfig(method, config ?? {})
        if (problem !== undefined) return yield* problem
        const policy = yield* RetryPolicy.CurrentRetryPolicy
        const chunks = chunking.chunk(data, chunkLimits)
        return yield* queue.submit(
          passOperation({ method, forwardOnly: method === "forward", chunks, loss_fn, config, policy })
        )
      })

  const forwardBackwardCustom: TrainingClient["forwardBackwardCustom"] = <D extends CustomLoss.Target, E, R>(
    data: ReadonlyArray<D>,
    loss: CustomLoss.CustomLoss<D, E, R>
  ) =>
    Effect.gen(function* () {
      const method = "forwardBackwardCustom"
      const problem = checkData(method, data, "custom")
      if (problem !== undefined) return yield* problem
      const policy = yield* RetryPolicy.CurrentRetryPolicy
      const context = yield* Effect.context<R>()
      const chunks = chunking.chunk(CustomLoss.forwardData(data), chunkLimits)
      const failed = (path: string, reason: string) => new TinkerError.LossFailed({ method, path, reason })
      return yield* queue.turn<Training.ForwardBackwardOutput, E>({
        method,
        count: 2 * chunks.length,
        run: (turn) =>
          Effect.gen(function* () {
            const operation = { method, loss_fn: "cross_entropy", policy } as const
            const forward = yield* yield* turn.submit(passOperation({ ...operation, chunks, forwardOnly: true }))
            const logprobs = CustomLoss.logprobsOf(data, forward)
            if (typeof logprobs === "string") {
              return yield* new TinkerError.DecodeError({ method, reason: logprobs })
            }
            const result = yield* Effect.suspend((): Effect.Effect<CustomLoss.Result, E, R> => {
              const made = loss(data, logprobs)
              return Effect.isEffect(made) ? made : Effect.succeed(made)
            }).pipe(
              Effect.provide(context),
              turn.hold,
              // what interrupts itself is no end of the client
              Effect.catchAllCause((cause): Effect.Effect<never, E | TinkerError.LossFailed> =>
                Cause.isInterruptedOnly(cause) ? failed("loss", "was interrupted") : Effect.failCause(cause)
              )
            )
            const wrong = CustomLoss.problem(logprobs, result)
            if (wrong !== undefined) return yield* failed(wrong.path, wrong.reason)
            // cut where the forward pass was, for which numbers are reserved
            const backward = CustomLoss.backwardData(data, logprobs, result)
            let start = 0
            const backwardChunks = chunks.map(({ length }) => backward.slice(start, (start += length)))
            const results = yield* turn.submit(
              passOperation({ ...operation, chunks: backwardChunks, forwardOnly: false })
            )
            return Effect.map(results, (output) => CustomLoss.merge(output, result))
          })
      })
    })

  // an operation of one request, under the policy of the call
  const single = Effect.fnUntraced(function* <A, I>(
    operation: Pick<submissions.Operation<A, I, A>, "method" | "type" | "schema" | "changesTraining">,
    send: (
      seq_id: number,
      options: Pick<TinkerClient.CallOptions, "method" | "policy" | "onRetry">
    ) => Effect.Effect<submissions.Sent<A>, TinkerError.TinkerError>
  ) {
    const policy = yield* RetryPolicy.CurrentRetryPolicy
    return yield* queue.submit({
      ...operation,
      count: 1,
      send: (seq_id, _index, running) =>
        send(seq_id, { method: operation.method, policy, onRetry: () => running.retried() }),
      combine: last
    })
  })

  const load = (method: "loadState" | "loadStateWithOptimizer"): TrainingClient["loadState"] =>
    Effect.fnUntraced(function* (path, { weights_access_token } = {}) {
      yield* checkStatePath(method, path)
      return yield* single(
        { method, type: "LoadWeights", schema: Weights.LoadWeightsResponse, changesTraining: true },
        (seq_id, options) =>
          client.call(
            TinkerApi.loadWeights,
            {
              model_id,
              path,
              optimizer: method === "loadStateWithOptimizer",
              seq_id,
              ...(weights_access_token === undefined
                ? {}
                : { weights_access_token: Redacted.value(weights_access_token) }),
              type: "load_weights"
            },
            options
          )
      )
    })

  const checkpointPath = (kind: TinkerPath.Kind, name: string) =>
    TinkerPath.format({ training_run_id: model_id, kind, name })

  const exists = (path: string) =>
    client
      .call(TinkerApi.listCheckpoints, undefined as never, {
        path: { training_run_id: model_id },
        policy: RetryPolicy.never
      })
      .pipe(
        Effect.map(({ checkpoints }) => checkpoints.some(({ tinker_path }) => samePath(tinker_path, path))),
        // a service that does not say so leaves the conflict as it is
        Effect.catchAll(() => Effect.succeed(false))
      )

  // The names that saves of this client have asked for. All checkpoints of the run are its own.
  const names = new Set<string>()

  /**
   * A save whose answer was lost may have been done: the service then refuses the name when it is asked again. The
   * checkpoint is recognised, or shows up soon; a name that was taken before is refused at once.
   */
  const recognised = <A>(
    path: string,
    result: A,
    send: (
      options: Pick<TinkerClient.CallOptions, "onRetry">
    ) => Effect.Effect<submissions.Sent<A>, TinkerError.TinkerError>,
    options: Pick<TinkerClient.CallOptions, "onRetry">
  ): Effect.Effect<submissions.Sent<A>, TinkerError.TinkerError> =>
    Effect.suspend(() => {
      const fresh = !names.has(path)
      names.add(path)
      let lost = false
      const attempt = send({
        onRetry: (error) => {
          // one that was turned away was not done
          if (error._tag !== "RateLimited") lost = true
          options.onRetry?.(error)
        }
      })
      const after = (
        conflict: TinkerError.Conflict,
        round: number
      ): Effect.Effect<submissions.Sent<A>, TinkerError.TinkerError> =>
        Effect.flatMap(exists(path), (found) => {
          if (found) return Effect.succeed({ result })
          const delay = recognitionDelays[round]
          if (delay === undefined) return Effect.fail(conflict)
          return attempt.pipe(
            Effect.delay(delay),
            Effect.catchTag("Conflict", (again) => after(again, round + 1))
          )
        })
      return Effect.catchTag(attempt, "Conflict", (conflict) =>
        lost && fresh ? after(conflict, 0) : Effect.fail(conflict)
      )
    })

  const saveForSampler = <A, I>(
    method: string,
    schema: Schema.Schema<A, I>,
    target: { readonly path: string; readonly saved: A } | { readonly sampling_session_seq_id: number },
    { kind, ttl_seconds, user_metadata }: SaveForSamplerOptions = {}
  ) =>
    single({ method, type: "SaveWeightsForSampler", schema, changesTraining: false }, (seq_id, options) => {
      const { saved, ...where } = { saved: undefined, ...target }
      const send = (more: Pick<TinkerClient.CallOptions, "onRetry">) =>
        client.call(
          TinkerApi.saveWeightsForSampler,
          {
            model_id,
            ...where,
            seq_id,
            ...(kind === undefined ? {} : { kind }),
            ...(ttl_seconds === undefined ? {} : { ttl_seconds }),
            ...(user_metadata === undefined ? {} : { user_metadata }),
            type: "save_weights_for_sampler"
          },
          { ...options, ...more }
        )
      return saved === undefined || !("path" in where)
        ? send(options)
        : recognised(checkpointPath("sampler_weights", where.path), saved, send, options)
    })

  return {
    modelId: model_id,
    baseModel: options.baseModel,
    forward: pass("forward"),
    forwardBackward: pass("forwardBackward"),
    forwardBackwardCustom,
    optimStep: Effect.fnUntraced(function* (params = {}) {
      const adam_params = yield* readAdam(params)
      return yield* single(
        { method: "optimStep", type: "OptimStep", schema: Training.OptimStepResponse, changesTraining: true },
        (seq_id, options) =>
          client.call(TinkerApi.optimStep, { adam_params, model_id, seq_id, type: "optim_step" }, options)
      )
    }),
    optimizerStep: Effect.fnUntraced(function* (params) {
      const optimizer_params = yield* readOptimizer(params)
      return yield* single(
        { method: "optimizerStep", type: "OptimStep", schema: Training.OptimStepResponse, changesTraining: true },
        (seq_id, options) =>
          client.call(TinkerApi.optimStep, { optimizer_params, model_id, seq_id, type: "optim_step" }, options)
      )
    }),
    saveState: Effect.fnUntraced(function* (name, { overwrite = false, ttl_seconds, user_metadata } = {}) {
      const method = "saveState"
      const problem = checkName(method, name) ?? checkTtl(method, ttl_seconds) ?? checkMetadata(method, user_metadata)
      if (problem !== undefined) return yield* problem
      const path = checkpointPath("weights", name)
      return yield* single(
        { method, type: "SaveWeights", schema: Weights.SaveWeightsResponse, changesTraining: false },
        (seq_id, options) =>
          recognised<Weights.SaveWeightsResponse>(
            path,
            { path, type: "save_weights" },
            (more) =>
              client.call(
                TinkerApi.saveWeights,
                {
                  model_id,
                  path: name,
                  seq_id,
                  ...(ttl_seconds === undefined ? {} : { ttl_seconds }),
                  overwrite,
                  ...(user_metadata === undefined ? {} : { user_metadata }),
                  type: "save_weights"
                },
                { ...options, ...more }
              ),
            options
          )
      )
    }),
    loadState: load("loadState"),
    loadStateWithOptimizer: load("loadStateWithOptimizer"),
    saveWeightsForSampler: Effect.fnUntraced(function* (name, options = {}) {
      const method = "saveWeightsForSampler"
      const problem =
        checkName(method, name) ?? checkTtl(method, options.ttl_seconds) ?? checkMetadata(method, options.user_metadata)
      if (problem !== undefined) return yield* problem
      return yield* saveForSampler(
        method,
        SavedNamed,
        { path: name, saved: { path: checkpointPath("sampler_weights", name) } },
        options
      )
    }),
    saveWeightsExternal: Effect.fnUntraced(function* (name, { age_encryption_recipients, ttl_seconds } = {}) {
      const method = "saveWeightsExternal"
      const problem = checkName(method, name) ?? checkTtl(method, ttl_seconds)
      if (problem !== undefined) return yield* problem
      const path = checkpointPath("external_weights", name)
      return yield* single(
        { method, type: "SaveWeightsExternal", schema: Weights.SaveWeightsExternalResponse, changesTraining: false },
        (seq_id, options) =>
          recognised<Weights.SaveWeightsExternalResponse>(
            path,
            { path, type: "save_weights_external" },
            (more) =>
              client.call(
                TinkerApi.saveWeightsExternal,
                {
                  model_id,
                  path: name,
                  seq_id,
                  ...(ttl_seconds === undefined ? {} : { ttl_seconds }),
                  ...(age_encryption_recipients === undefined ? {} : { age_encryption_recipients }),
                  type: "save_weights_external"
                },
                { ...options, ...more }
              ),
            options
          )
      )
    }),
    saveWeightsAndGetSamplingClient: Effect.fnUntraced(function* (clientOptions = {}) {
      const method = "saveWeightsAndGetSamplingClient"
      const seqId = yield* session.nextSamplingSeqId
      const { sampling_session_id } = yield* yield* saveForSampler(method, SavedUnnamed, {
        sampling_session_seq_id: seqId
      })
      return yield* SamplingClient.make({ client, session, samplingSessionId: sampling_session_id, ...clientOptions })
    }),
    createSamplingClient: (model_path, clientOptions) =>
      SamplingClient.create({ client, session, model_path, ...clientOptions }),
    queueState: { current: queueState.current, changes: queueState.changes },
    getInfo: client.call(TinkerApi.getInfo, { model_id, type: "get_info" }, { method: "getInfo" }),
    getTokenizer: Effect.flatMap(
      client.call(TinkerApi.getInfo, { model_id, type: "get_info" }, { method: "getTokenizer" }),
      ({ model_data, model_name }) =>
        Effect.flatMap(Tokenizers.Tokenizers, (tokenizers) =>
          tokenizers.forModel(model_data.model_name ?? model_name ?? options.baseModel, model_data.tokenizer_id)
        )
    )
  }
})
