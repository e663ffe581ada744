/**
 * Samples from a base model, or from saved sampler weights.
 *
 * @since 0.1.0
 */
import type * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as Hub from "@effect-tinker/tokenizers/Hub"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Tokenizers from "@effect-tinker/tokenizers/Tokenizers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { withCaller } from "./internal/effect/runtime.ts"
import { createSession } from "./internal/sampling/createSession.ts"
import * as maxTokens from "./internal/sampling/maxTokens.ts"
import {
  checkClientOptions,
  checkOptions,
  type ClientOptions,
  invalid,
  readSamplingParams,
  type SampleOptions
} from "./internal/sampling/options.ts"
import { SampleOperation, type SampleSettings } from "./internal/sampling/sampleOperation.ts"
import { type MakeOptions, makeSampler, makeSettings } from "./internal/sampling/sampler.ts"
import * as sampleStream from "./internal/sampling/sampleStream.ts"
import type { Delta, StreamOptions } from "./internal/sampling/streamOptions.ts"
import {
  instrument,
  instrumentDetached,
  instrumentStream,
  type OperationRecord
} from "./internal/telemetry/instrument.ts"
import { pointingAtCalls } from "./internal/util/callSite.ts"
import * as QueueState from "./QueueState.ts"
import type * as Session from "./Session.ts"
import type * as TinkerClient from "./TinkerClient.ts"

export type { ClientOptions, SampleOptions } from "./internal/sampling/options.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface SamplingClient {
  readonly samplingSessionId: string
  /** whether the service keeps samples to a `json_schema`: a service of this project does, where its engine can */
  readonly takesJsonSchemas: boolean
  /**
   * Submits one request, and waits for its samples. Run many at once with `Effect.all` or `Effect.forEach`: the client
   * keeps as many in flight as the service allows.
   */
  readonly sample: (
    prompt: ModelInput.ModelInput,
    options?: SampleOptions
  ) => Effect.Effect<Sampling.SampleResponse, TinkerError.TinkerError>
  /**
   * Samples one sequence, and brings its tokens as they are sampled. `SampleStream.text` adds their text. A stream that is
   * not read to its end ends the sample.
   *
   * A service of this project streams. Any other is asked for a few tokens at a time, with the prompt and the tokens so far
   * as the next prompt: each request costs its whole prompt, and with a `seed` the sequence is not that of `sample`.
   */
  readonly stream: (
    prompt: ModelInput.ModelInput,
    options?: StreamOptions
  ) => Stream.Stream<Delta, TinkerError.TinkerError>
  /** The logprob of each token of the prompt given those before it, float32 `[prompt length]`; `NaN` for the first. */
  readonly computeLogprobs: (prompt: ModelInput.ModelInput) => Effect.Effect<Float32Array, TinkerError.TinkerError>
  /** The name of the base model. */
  readonly getBaseModel: Effect.Effect<string, TinkerError.TinkerError>
  /** The tokenizer of the base model. */
  readonly getTokenizer: Effect.Effect<
    Tokenizer.Service,
    TinkerError.TinkerError | Tokenizer.TokenizerError | Hub.HubError,
    Tokenizers.Tokenizers
  >
  /** why results are delayed */
  readonly queueState: QueueState.Observable
}

/**
 * @since 0.1.0
 * @category tags
 */
export const SamplingClient = Context.GenericTag<SamplingClient>("@effect-tinker/client/SamplingClient")

/** What a stream needs of its client. */
interface Streaming {
  readonly sampler: ReturnType<typeof makeSampler>
  readonly sample: (
    prompt: ModelInput.ModelInput,
    options: SampleOptions
  ) => Effect.Effect<Sampling.SampleResponse, TinkerError.TinkerError>
  /** the length of the context */
  readonly context: Effect.Effect<number | undefined>
  /** whether the service streams */
  readonly streams: boolean
}

const streamFrom = (
  { context, sample, sampler, streams }: Streaming,
  prompt: ModelInput.ModelInput,
  { tokensPerRequest = 16, ...given }: StreamOptions,
  record: OperationRecord
): Stream.Stream<Delta, TinkerError.TinkerError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      if (!(Number.isInteger(tokensPerRequest) && tokensPerRequest > 0)) {
        return yield* invalid("stream", "tokensPerRequest", `is ${tokensPerRequest}: give a whole number above 0`)
      }
      const options = maxTokens.isGiven(given) ? given : maxTokens.withMaxTokens(given, prompt, yield* context)
      const problem = checkOptions(prompt, options)
      if (problem !== undefined) return yield* problem
      yield* readSamplingParams(options.sampling_params)
      return sampleStream.stream(sampler, streams, { sample, prompt, options, tokensPerRequest }, record)
    })
  )

/**
 * A client for an existing sampling session. When the service throttles one, all samplers of the session slow down.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fnUntraced(function* (options: MakeOptions): Effect.fn.Return<SamplingClient> {
  const { client, samplingSessionId, session } = options
  const attributes = {
    "tinker.sampling_session_id": samplingSessionId,
    ...(options.base_model === undefined ? {} : { "gen_ai.request.model": options.base_model })
  }
  const queueState = yield* QueueState.make(`Sampling from ${samplingSessionId}`, attributes)
  const sampler = makeSampler(options, queueState)
  const settingsOf = makeSettings(session.clientConfig, options)
  const context = yield* maxTokens.contextLength(client, samplingSessionId, options.base_model)
  const abandon = ({ requestId, submitted }: OperationRecord) => {
    const abandoned = requestId === undefined ? submitted?.resend : Effect.succeed(requestId)
    return abandoned === undefined ? Effect.void : session.cancelSample(abandoned)
  }

  const sampleAs = (method: SampleSettings["method"], prompt: ModelInput.ModelInput, given: SampleOptions) =>
    withCaller((caller): Effect.Effect<Sampling.SampleResponse, TinkerError.TinkerError> => {
      const settings = settingsOf(method, prompt, given, caller)
      if (Either.isLeft(settings)) return instrument(`SamplingClient.${method}`, attributes, () => settings.left)
      return instrumentDetached(
        `SamplingClient.${method}`,
        attributes,
        (record) => new SampleOperation(sampler, settings.right, record, caller).run(),
        abandon
      )
    })

  const sample = (method: SampleSettings["method"], prompt: ModelInput.ModelInput, given: SampleOptions) =>
    maxTokens.isGiven(given)
      ? sampleAs(method, prompt, given)
      : Effect.flatMap(context, (length) => sampleAs(method, prompt, maxTokens.withMaxTokens(given, prompt, length)))

  const streaming: Streaming = {
    sampler,
    sample: (prompt, options) => sample("sample", prompt, options),
    context,
    streams: session.clientConfig.sample_streams
  }

  const info = (method: string) =>
    instrument(`SamplingClient.${method}`, attributes, () =>
      client.call(TinkerApi.getSampler, undefined as never, { method, path: { sampler_id: samplingSessionId } })
    )
  return pointingAtCalls<SamplingClient>({
    samplingSessionId,
    takesJsonSchemas: session.clientConfig.sample_json_schemas,
    sample: (prompt, options = {}) => sample("sample", prompt, options),
    stream: (prompt, options = {}) =>
      instrumentStream("SamplingClient.stream", attributes, (record) => streamFrom(streaming, prompt, options, record)),
    computeLogprobs: (prompt) =>
      Effect.flatMap(
        sampleAs("computeLogprobs", prompt, { sampling_params: { max_tokens: 1 }, prompt_logprobs: true }),
        ({ prompt_logprobs }) =>
          prompt_logprobs === undefined
            ? new TinkerError.DecodeError({ method: "computeLogprobs", reason: "prompt_logprobs: is missing" })
            : Effect.succeed(prompt_logprobs)
      ),
    getBaseModel: Effect.map(info("getBaseModel"), ({ base_model }) => base_model),
    getTokenizer: Effect.flatMap(info("getTokenizer"), ({ base_model, tokenizer_id }) =>
      Effect.flatMap(Tokenizers.Tokenizers, (tokenizers) => tokenizers.forModel(base_model, tokenizer_id))
    ),
    queueState: { current: queueState.current, changes: queueState.changes }
  })
})

/**
 * Creates a sampling session on a base model or on saved sampler weights, and its client.
 *
 * @since 0.1.0
 * @category constructors
 */
export const create = (options: CreateOptions): Effect.Effect<SamplingClient, TinkerError.TinkerError> =>
  instrument("ServiceClient.createSamplingClient", {}, (record) => createSampler(options, record))

type CreateOptions = {
  readonly client: TinkerClient.Service
  readonly session: Session.Service
} & ({ readonly model_path: string } | { readonly base_model: string }) &
  ClientOptions

const createSampler = Effect.fnUntraced(function* (
  options: CreateOptions,
  record: OperationRecord
): Effect.fn.Return<SamplingClient, TinkerError.TinkerError> {
  const method = "createSamplingClient"
  if ("model_path" in options && !Option.exists(TinkerPath.parse(options.model_path), TinkerPath.isSampler)) {
    return yield* invalid(
      method,
      "model_path",
      `is ${JSON.stringify(options.model_path)}: give "tinker://<training run>/sampler_weights/<name>"`
    )
  }
  if ("base_model" in options && options.base_model.trim() === "") {
    return yield* invalid(method, "base_model", "is empty: name a base model")
  }
  const problem = checkClientOptions(method, options)
  if (problem !== undefined) return yield* problem
  const samplingSessionId = yield* createSession(
    options,
    "model_path" in options ? { model_path: options.model_path } : { base_model: options.base_model },
    record
  )
  return yield* make({ ...options, samplingSessionId })
})
