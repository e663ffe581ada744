/**
 * The interface between the service and the computation: an `Engine` trains and samples, and knows nothing of HTTP. The
 * service keeps sessions, queues, futures and checkpoints, runs one operation of a model at a time, and lets users take turns.
 *
 * @since 0.1.0
 */
import type * as Datum from "@effect-tinker/api/Datum"
import type * as Future from "@effect-tinker/api/Future"
import type * as LossFn from "@effect-tinker/api/LossFn"
import type * as Model from "@effect-tinker/api/Model"
import type * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as TensorData from "@effect-tinker/api/TensorData"
import type * as Training from "@effect-tinker/api/Training"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as targetScores from "./internal/sampling/targetScores.ts"
import * as together from "./internal/turns/together.ts"
import type { Demand } from "./internal/turns/demand.ts"
import type { SampledToken } from "./internal/sampling/sampledToken.ts"
import { optionalKey } from "./internal/effect/optionalKey.ts"

export type { Demand } from "./internal/turns/demand.ts"
export type { SampledToken } from "./internal/sampling/sampledToken.ts"

/**
 * An operation failed. `category` is `user` if the request has to change; `reason` is the message that the client gets.
 *
 * @since 0.1.0
 * @category errors
 */
export class EngineError extends Schema.TaggedError<EngineError>("@effect-tinker/server/EngineError")("EngineError", {
  reason: Schema.String,
  category: Schema.Literal("user", "server", "unknown"),
  cause: optionalKey(Schema.Defect)
}) {
  override get message(): string {
    return this.reason
  }
}

/**
 * @since 0.1.0
 * @category models
 */
export type Category = Future.Category

/**
 * A supported base model.
 *
 * @since 0.1.0
 * @category models
 */
export interface BaseModel {
  readonly model_name: string
  /** in tokens */
  readonly max_context_length: number
  readonly arch?: string | undefined
  readonly tokenizer_id?: string | undefined
  /** how many tokens its vocabulary has, if that is known */
  readonly vocab_size?: number | undefined
}

/**
 * A weight of an adapter: a matrix in row-major order.
 *
 * @since 0.1.0
 * @category models
 */
export interface Weight {
  readonly shape: ReadonlyArray<number>
  readonly data: Float32Array
}

/**
 * A copy of an adapter, which further training does not change. Weights are named as in PEFT, such as
 * `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Adapter {
  readonly base_model: string
  readonly lora_config: Model.LoraConfig
  readonly lora_alpha: number
  readonly weights: { readonly [name: string]: Weight }
}

/**
 * A copy of the state of AdamW: the number of steps, and the first and second moments by the names of the weights.
 *
 * @since 0.1.0
 * @category models
 */
export interface OptimizerState {
  readonly step: number
  readonly first: { readonly [name: string]: Float32Array }
  readonly second: { readonly [name: string]: Float32Array }
}

/**
 * The input of a forward pass, with or without a backward pass. For `stable_reinforce` the service resolves the spans of
 * the data: it sets `logprobs` to those that it recorded of the sampled tokens, and `sampled_mask` to 1 at these tokens;
 * both are 0 elsewhere.
 *
 * @since 0.1.0
 * @category models
 */
export interface PassOptions {
  readonly data: ReadonlyArray<Datum.Datum>
  readonly loss_fn: LossFn.LossFn
  readonly loss_fn_config: LossFn.LossFnConfig
}

/**
 * A model in training. Losses are sums over tokens and datums. `forwardBackward` accumulates gradients until `optimStep`
 * applies and clears them. `forward` does not change them, and checkpoints do not contain them.
 *
 * @since 0.1.0
 * @category models
 */
export interface EngineModel {
  readonly forward: (options: PassOptions) => Effect.Effect<Training.ForwardBackwardOutput, EngineError>
  readonly forwardBackward: (options: PassOptions) => Effect.Effect<Training.ForwardBackwardOutput, EngineError>
  readonly optimStep: (params: Training.AdamParams) => Effect.Effect<Training.OptimStepResponse, EngineError>
  readonly adapter: Effect.Effect<Adapter, EngineError>
  readonly optimizer: Effect.Effect<OptimizerState, EngineError>
  /** Without a state the optimizer is reset. Accumulated gradients are cleared. */
  readonly load: (adapter: Adapter, optimizer: OptimizerState | undefined) => Effect.Effect<void, EngineError>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SampleOptions {
  readonly prompt: ModelInput.ModelInput
  readonly num_samples: number
  readonly sampling_params: Sampling.SamplingParams
  readonly prompt_logprobs: boolean
  readonly topk_prompt_logprobs: number
  /** how many of the last prompt tokens `prompt_logprobs` and `topk_prompt_logprobs` score; all, if absent */
  readonly prompt_logprobs_last_n?: number | undefined
  /** the number of most likely tokens to return for each sampled token; none, if absent */
  readonly topk_sample_logprobs?: number | undefined
  /** token ids to score, int64 `[prompt - 1, K]`, dense or sparse: row `i` at prompt position `i + 1`; -1 is skipped */
  readonly target_prompt_logprobs?: TensorData.TensorData | undefined
  /** how many tokens to draw at each prompt position but the first, at the request's temperature; none, if absent */
  readonly prompt_alt_tokens_k?: number | undefined
  /** the JSON schema, as text, of what each sequence must be; only for engines that take it (`schemas`) */
  readonly json_schema?: string | undefined
  /**
   * Is told each token as soon as it is sampled. An engine may leave it out, for some tokens or for all: what it did not
   * tell is taken from the response. It must not throw, and costs the engine's time.
   */
  readonly onToken?: ((sampled: SampledToken) => void) | undefined
}

/**
 * The optional fields of `SampleOptions`: what a sampler may compute besides samples and the logprobs of the prompt.
 *
 * @since 0.1.0
 * @category constants
 */
export const scoringOptions = [
  "prompt_logprobs_last_n",
  "topk_sample_logprobs",
  "target_prompt_logprobs",
  "prompt_alt_tokens_k"
] as const

/**
 * @since 0.1.0
 * @category models
 */
export type ScoringOption = (typeof scoringOptions)[number]

/**
 * The logprobs of the token ids in `target_prompt_logprobs`: a float32 tensor of the same shape and layout, with 0 for
 * cells of -1. `logprobOf` is called for a prompt position from 1 on, and a token id; positions do not fall.
 *
 * @since 0.1.0
 * @category scoring
 */
export const scoreTargets: (
  targets: TensorData.TensorData,
  logprobOf: (position: number, token: number) => number
) => TensorData.TensorData = targetScores.score

/**
 * Why `target_prompt_logprobs` cannot be scored with a vocabulary of this size; `undefined` if it can.
 *
 * @since 0.1.0
 * @category scoring
 */
export const targetProblem: (targets: TensorData.TensorData, vocabularySize: number) => string | undefined =
  targetScores.problem

/**
 * Samples from a base model, with or without an adapter. It is independent of the models in training.
 *
 * @since 0.1.0
 * @category models
 */
export interface EngineSampler {
  readonly sample: (options: SampleOptions) => Effect.Effect<Sampling.SampleResponse, EngineError>
}

type TurnParts = ReadonlyArray<readonly [turn: Turn, tokens: number]>
/**
 * The turn of a running operation. Users take turns on the engine, and so do the models and samplers of one user.
 *
 * @since 0.1.0
 * @category models
 */
export interface Turn {
  /** Lets others have their turn, and returns when it is this operation's turn again. Takes the tokens computed since. */
  readonly yield: (tokens: number) => Effect.Effect<void>
  /** The same for several operations that are computed together: it returns when it is the turn of all of them. */
  readonly yieldTogether?: ((parts: TurnParts) => Effect.Effect<void>) | undefined
}

/**
 * The turn of the operation that runs in this fiber; by default nobody waits.
 *
 * @since 0.1.0
 * @category references
 */
export class CurrentTurn extends Context.Reference<CurrentTurn>()("@effect-tinker/server/Engine/CurrentTurn", {
  defaultValue: (): Turn => ({ yield: () => Effect.void })
}) {}

/**
 * An engine runs this between the parts of a long operation: after a microbatch, or a decoding step. Others run meanwhile,
 * so results must not depend on it. An operation that never does keeps its turn until it ends.
 *
 * @since 0.1.0
 * @category turns
 */
export const yieldTurn = (tokens: number): Effect.Effect<void> =>
  Effect.flatMap(CurrentTurn, (turn) => turn.yield(tokens))

/**
 * `yieldTurn` for operations that are computed together. It returns when it is the turn of all that were not interrupted.
 *
 * @since 0.1.0
 * @category turns
 */
export const yieldTurns: (parts: TurnParts) => Effect.Effect<void> = together.yieldTurns

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly models: ReadonlyArray<BaseModel>
  /** the loss functions of its models; requests of others are rejected. All that this version knows, if absent */
  readonly losses?: ReadonlyArray<string> | undefined
  /** the types of chunks that its models read besides text, such as `image`; requests with others are rejected */
  readonly chunks?: ReadonlyArray<string> | undefined
  /** how many operations it works on at a time: it is given no more than that; any number if absent */
  readonly concurrency?: number | undefined
  /** how many sample requests of a user it computes together, as one operation; each is one of its own if absent */
  readonly batch?: number | undefined
  /** whether its samplers take a `json_schema` */
  readonly schemas?: boolean | undefined
  /** what its samplers compute of the optional fields of `SampleOptions`; requests of others are rejected */
  readonly scoring?: ReadonlyArray<ScoringOption> | undefined
  /** why an operation of a size can never run, as for lack of memory: then it is rejected when it arrives */
  readonly demandProblem?: ((demand: Demand) => string | undefined) | undefined
  /**
   * Why models of a base model cannot run a pass, whatever their state, beginning with the path of the field: the request
   * is then rejected when it arrives. What only fails when it runs takes the step behind it along.
   */
  readonly passProblem?: ((base_model: string, options: PassOptions) => string | undefined) | undefined
  readonly createModel: (options: {
    readonly base_model: string
    readonly lora_config: Model.LoraConfig
  }) => Effect.Effect<EngineModel, EngineError, Scope.Scope>
  readonly createSampler: (options: {
    readonly base_model: string
    readonly adapter: Adapter | undefined
  }) => Effect.Effect<EngineSampler, EngineError, Scope.Scope>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Engine extends Context.Tag("@effect-tinker/server/Engine")<Engine, Service>() {}
