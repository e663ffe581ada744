/**
 * Trains one model. An operation is submitted when its effect runs, in the order of the calls, and returns its future at
 * once, so that the next operation can be submitted right behind it. Await the results when they are needed.
 *
 * @since 0.1.0
 */
import type * as Datum from "@effect-tinker/api/Datum"
import type * as LossFn from "@effect-tinker/api/LossFn"
import type * as Model from "@effect-tinker/api/Model"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as Training from "@effect-tinker/api/Training"
import type * as Weights from "@effect-tinker/api/Weights"
import type * as Hub from "@effect-tinker/tokenizers/Hub"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Tokenizers from "@effect-tinker/tokenizers/Tokenizers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as CustomLoss from "./CustomLoss.ts"
import * as trainingContext from "./internal/training/context.ts"
import { checkClientOptions } from "./internal/sampling/options.ts"
import { submitForwardBackwardCustom } from "./internal/training/customLoss.ts"
import { submitForwardBackward } from "./internal/training/forwardBackward.ts"
import * as loads from "./internal/training/loads.ts"
import type { Submitted } from "./internal/submissions/operation.ts"
import * as optimizer from "./internal/training/optimizer.ts"
import * as saves from "./internal/training/saves.ts"
import { instrument, recordRejection } from "./internal/telemetry/instrument.ts"
import { pointingAtCalls } from "./internal/util/callSite.ts"
import type * as QueueState from "./QueueState.ts"
import * as SamplingClient from "./SamplingClient.ts"
import type * as Session from "./Session.ts"
import type * as TinkerClient from "./TinkerClient.ts"

export type { LoadOptions } from "./internal/training/loads.ts"
export type { Submitted } from "./internal/submissions/operation.ts"
export type {
  SavedForSampler,
  SaveExternalOptions,
  SaveForSamplerOptions,
  SaveOptions
} from "./internal/training/saves.ts"

/**
 * The operations of one model. One that the service rejects fails alone, with what was called behind it in the same step
 * (`StepRefused`, `PartialGradient`); the client goes on.
 *
 * @since 0.1.0
 * @category models
 */
export interface TrainingClient {
  readonly modelId: string
  readonly baseModel: string
  /** Computes the loss and its outputs, without gradients. */
  readonly forward: <const L extends LossFn.LossFn>(
    data: ReadonlyArray<Datum.For<L>>,
    lossFn: L,
    config?: LossFn.Config
  ) => Submitted<Training.ForwardBackwardOutput>
  /** Computes the loss, its outputs and the gradients, which accumulate until the next `optimStep`. */
  readonly forwardBackward: <const L extends LossFn.LossFn>(
    data: ReadonlyArray<Datum.For<L>>,
    lossFn: L,
    config?: LossFn.Config
  ) => Submitted<Training.ForwardBackwardOutput>
  /**
   * Computes the gradients of a custom loss. The loss receives the logprobs of the targets, and returns its value and its
   * gradient with respect to them. The whole computation has one place in the queue: operations that are called later are
   * submitted and run after it. If the loss fails, the rest of its step is not sent (`StepRefused`), and the client
   * continues. The loss may await operations that were submitted before, but must not submit to the same client.
   *
   * In the result, `loss:sum` is the custom loss, and `surrogate_loss:sum` is the loss of the backward pass that carried
   * its gradient.
   */
  readonly forwardBackwardCustom: <D extends CustomLoss.Target, E = never, R = never>(
    data: ReadonlyArray<D>,
    loss: CustomLoss.CustomLoss<D, E, R>
  ) => Submitted<Training.ForwardBackwardOutput, E, R>
  /** Performs one AdamW step with the accumulated gradients, and clears them. */
  readonly optimStep: (params?: typeof Training.AdamParams.Encoded) => Submitted<Training.OptimStepResponse>
  /** Performs one step of the optimizer that the model was created with, where that is not AdamW. */
  readonly optimizerStep: (params: typeof Training.OptimizerParams.Encoded) => Submitted<Training.OptimStepResponse>
  /** Saves the weights and the optimizer state, to continue from later. */
  readonly saveState: (name: string, options?: saves.SaveOptions) => Submitted<Weights.SaveWeightsResponse>
  /**
   * Loads weights, and resets the optimizer. Call it before any other operation: some services reject it later ("LoadWeights
   * is not permitted"), and the client logs a warning. `createTrainingClientFromState` always works.
   */
  readonly loadState: (path: string, options?: loads.LoadOptions) => Submitted<Weights.LoadWeightsResponse>
  /** Loads weights and the optimizer state, to continue exactly from where they were saved. See `loadState`. */
  readonly loadStateWithOptimizer: (path: string, options?: loads.LoadOptions) => Submitted<Weights.LoadWeightsResponse>
  /** Saves the weights for sampling, under a name. Sample from them with `createSamplingClient`. */
  readonly saveWeightsForSampler: (
    name: string,
    options?: saves.SaveForSamplerOptions
  ) => Submitted<saves.SavedForSampler>
  /** Saves the weights as files for other programs, under a name. See `RestClient.getExternalWeightsUrls`. */
  readonly saveWeightsExternal: (
    name: string,
    options?: saves.SaveExternalOptions
  ) => Submitted<Weights.SaveWeightsExternalResponse>
  /** Creates a client that samples from the weights as they are after all operations that were submitted before. */
  readonly saveWeightsAndGetSamplingClient: (
    options?: SamplingClient.ClientOptions
  ) => Effect.Effect<SamplingClient.SamplingClient, TinkerError.TinkerError>
  /** Creates a client that samples from saved sampler weights. */
  readonly createSamplingClient: (
    model_path: string,
    options?: SamplingClient.ClientOptions
  ) => Effect.Effect<SamplingClient.SamplingClient, TinkerError.TinkerError>
  /** why results are not ready yet */
  readonly queueState: QueueState.Observable
  readonly getInfo: Effect.Effect<Model.GetInfoResponse, TinkerError.TinkerError>
  /** The tokenizer of the model, found by the names that the service reports. */
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

const getInfo = (
  { client, modelId }: trainingContext.Context,
  method: string
): Effect.Effect<Model.GetInfoResponse, TinkerError.TinkerError> =>
  instrument(`TrainingClient.${method}`, { "tinker.model_id": modelId }, () =>
    client.call(TinkerApi.getInfo, { model_id: modelId, type: "get_info" }, { method })
  )

const getTokenizer = (context: trainingContext.Context): TrainingClient["getTokenizer"] =>
  Effect.gen(function* () {
    const { model_data, model_name } = yield* getInfo(context, "getTokenizer")
    const tokenizers = yield* Tokenizers.Tokenizers
    const name = model_data.model_name ?? model_name ?? context.baseModel
    return yield* tokenizers.forModel(name, model_data.tokenizer_id)
  })

/**
 * A client for a model that has no operations yet. Its fibers run in the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: {
  readonly client: TinkerClient.Service
  readonly session: Session.Service
  readonly modelId: string
  readonly baseModel: string
}): Effect.Effect<TrainingClient, never, Scope.Scope> =>
  Effect.map(trainingContext.make(options), (context): TrainingClient => {
    const { baseModel, client, modelId, queueState, session } = context
    const recorded = recordRejection("TrainingClient", { "tinker.model_id": modelId })
    return pointingAtCalls<TrainingClient>({
      modelId,
      baseModel,
      forward: (data, lossFn, config) => recorded(submitForwardBackward(context, "forward", data, lossFn, config)),
      forwardBackward: (data, lossFn, config) =>
        recorded(submitForwardBackward(context, "forwardBackward", data, lossFn, config)),
      forwardBackwardCustom: (data, loss) => recorded(submitForwardBackwardCustom(context, data, loss)),
      optimStep: (params) => recorded(optimizer.submitOptimStep(context, params)),
      optimizerStep: (params) => recorded(optimizer.submitOptimizerStep(context, params)),
      saveState: (name, options) => recorded(saves.submitSaveState(context, name, options)),
      loadState: (path, options) => recorded(loads.submitLoad(context, "loadState", path, options)),
      loadStateWithOptimizer: (path, options) =>
        recorded(loads.submitLoad(context, "loadStateWithOptimizer", path, options)),
      saveWeightsForSampler: (name, options) => recorded(saves.submitSaveForSampler(context, name, options)),
      saveWeightsExternal: (name, options) => recorded(saves.submitSaveExternal(context, name, options)),
      saveWeightsAndGetSamplingClient: (options = {}) => {
        const method = "saveWeightsAndGetSamplingClient"
        const problem = checkClientOptions(method, options)
        return problem === undefined
          ? Effect.flatMap(saves.saveForSamplingSession(context, method), (samplingSessionId) =>
              SamplingClient.make({ client, session, samplingSessionId, ...options })
            )
          : recorded(problem)
      },
      createSamplingClient: (model_path, options) => SamplingClient.create({ client, session, model_path, ...options }),
      queueState: { current: queueState.current, changes: queueState.changes },
      getInfo: getInfo(context, "getInfo"),
      getTokenizer: getTokenizer(context)
    })
  })
