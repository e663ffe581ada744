/**
 * Samples from a base model, or from weights as they were when they were saved.
 *
 * @since 0.1.0
 */
import type * as Future from "@effect-tinker/api/Future"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as Sampling from "@effect-tinker/api/Sampling"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as Hub from "@effect-tinker/tokenizers/Hub"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Tokenizers from "@effect-tinker/tokenizers/Tokenizers"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import { Budget, Pass } from "./internal/limits/budget.ts"
import * as chunking from "./internal/training/chunking.ts"
import * as codec from "./internal/codec/endpoint.ts"
import { type Completions, make as makeCompletions } from "./internal/sampling/completedFutures.ts"
import * as sessionLimits from "./internal/limits/sessionLimits.ts"
import { millis } from "./internal/util/millis.ts"
import * as observe from "./internal/telemetry/observe.ts"
import * as progress from "./internal/polling/progress.ts"
import { found, type Options as RetrieveOptions, pollQuickly, retrieve } from "./internal/polling/retrieve.ts"
import { quick, type Quick, type QuickThen } from "./internal/transport/exchange.ts"
import * as QueueState from "./QueueState.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import type * as Session from "./Session.ts"
import type * as TinkerClient from "./TinkerClient.ts"
import * as TinkerFuture from "./TinkerFuture.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface SampleOptions {
  /** independent samples of the same prompt; 1 by default */
  readonly num_samples?: number | undefined
  readonly sampling_params?: typeof Sampling.SamplingParams.Encoded | undefined
  /** score the prompt's tokens as well */
  readonly prompt_logprobs?: boolean | undefined
  /** score the last so many of the prompt's tokens only; needs `prompt_logprobs` */
  readonly prompt_logprobs_last_n?: number | undefined
  /** the most likely tokens at each prompt position, so many of them */
  readonly topk_prompt_logprobs?: number | undefined
  /** the most likely tokens at each sampled position, so many of them */
  readonly topk_sample_logprobs?: number | undefined
  /** the ids to score, int64 `[prompt length - 1, K]`: row `i` at prompt position `i + 1`; -1 asks for nothing */
  readonly target_prompt_logprobs?: TensorData.TensorData | undefined
  /** so many draws at each prompt position but the first */
  readonly prompt_alt_tokens_k?: number | undefined
  /** keep what the loss `stable_reinforce` needs */
  readonly record_stability_info?: boolean | undefined
}

/**
 * How a sample is made again that the service gave up, or that could not be submitted within the time of the retry
 * policy: as a new request, for as long as any sample of the client gets on (`TinkerFuture.NoProgressLimit`).
 *
 * @since 0.1.0
 * @category models
 */
export interface ClientOptions {
  /** `false`: such a sample fails. By default the service decides, which is for `true` unless it says otherwise. */
  readonly resubmit?: boolean | undefined
  /** the first pause before it is made again; it doubles. 0.5 s by default */
  readonly resubmitFirst?: Duration.DurationInput | undefined
  /** the longest pause; 10 s by default */
  readonly resubmitCap?: Duration.DurationInput | undefined
  /** samples under way at once, submitted or waiting for their result; the service's number by default, or 2,000 */
  readonly maxConcurrent?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SamplingClient {
  readonly samplingSessionId: string
  /**
   * Submits one request and waits for its samples. Run many at once with `Effect.all` or `Effect.forEach`: the client
   * keeps as many under way as the service wants.
   */
  readonly sample: (
    prompt: ModelInput.ModelInput,
    options?: SampleOptions
  ) => Effect.Effect<Sampling.SampleResponse, TinkerError.TinkerError>
  /** The logprob of each prompt token given those before it; `NaN` for the first, which nothing precedes. */
  readonly computeLogprobs: (prompt: ModelInput.ModelInput) => Effect.Effect<Float32Array, TinkerError.TinkerError>
  /** What is sampled from. */
  readonly getBaseModel: Effect.Effect<string, TinkerError.TinkerError>
  /** The tokenizer of the model that is sampled from, as its name says. */
  readonly getTokenizer: Effect.Effect<
    Tokenizer.Service,
    TinkerError.TinkerError | Tokenizer.TokenizerError | Hub.HubError,
    Tokenizers.Tokenizers
  >
  /** why results keep one waiting */
  readonly queueState: QueueState.Observable
}

/**
 * @since 0.1.0
 * @category tags
 */
export const SamplingClient = Context.GenericTag<SamplingClient>("@effect-tinker/client/SamplingClient")

const invalid = (method: string, path: string, reason: string) => new TinkerError.InvalidInput({ method, path, reason })
const readParams = codec.input("sample", "sampling_params", Sampling.SamplingParams)

// most samples of a program are taken alike
const recent = new Map<string, ReturnType<typeof readParams>>()

const readSamplingParams = (params: SampleOptions["sampling_params"] = {}): ReturnType<typeof readParams> => {
  let key = ""
  for (const [name, value] of Object.entries(params)) {
    if (typeof value !== "number") return readParams(params)
    key += `${name}=${value};`
  }
  let read = recent.get(key)
  if (read === undefined) {
    read = readParams(params)
    if (recent.size >= 64) recent.clear()
    recent.set(key, read)
  }
  return read
}

const backpressure = { "x-tinker-sampling-backpressure": "1" }

const counts = ["topk_prompt_logprobs", "topk_sample_logprobs", "prompt_alt_tokens_k"] as const

const checkOptions = (prompt: ModelInput.ModelInput, options: SampleOptions): TinkerError.InvalidInput | undefined => {
  const bad = (path: string, reason: string) => invalid("sample", path, reason)
  const { num_samples = 1, prompt_logprobs_last_n, target_prompt_logprobs } = options
  if (!Number.isInteger(num_samples) || num_samples < 1) {
    return bad("num_samples", `is ${num_samples}: give a whole number above 0`)
  }
  for (const name of counts) {
    const count = options[name]
    if (count !== undefined && (!Number.isInteger(count) || count < 0)) {
      return bad(name, `is ${count}: give a whole number, or 0 for none`)
    }
  }
  if (prompt_logprobs_last_n !== undefined) {
    if (!Number.isInteger(prompt_logprobs_last_n) || prompt_logprobs_last_n < 1) {
      return bad("prompt_logprobs_last_n", `is ${prompt_logprobs_last_n}: give a whole number above 0`)
    }
    if (options.prompt_logprobs !== true) return bad("prompt_logprobs_last_n", "needs `prompt_logprobs: true`")
  }
  if (target_prompt_logprobs !== undefined) {
    const wrong = TensorData.problem(target_prompt_logprobs)
    if (wrong !== undefined) return bad("target_prompt_logprobs", wrong)
    if (target_prompt_logprobs.dtype !== "int64") return bad("target_prompt_logprobs", "is not int64: give token ids")
  }
  if (prompt.chunks.length === 0 || (ModelInput.isText(prompt) && ModelInput.length(prompt) === 0)) {
    return bad("prompt", "is empty: give it one token or more")
  }
  return undefined
}

const set = <K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: V })

const oneAttempt = (policy: RetryPolicy.RetryPolicy): RetryPolicy.RetryPolicy => ({ ...policy, total: 0 })

/** What the samples of a client have in common. */
interface Shared {
  readonly client: TinkerClient.Service
  readonly samplingSessionId: string
  readonly queueState: QueueState.Observer
  readonly limits: sessionLimits.Limits
  readonly completions: Completions | undefined
  /** the client's short way, where it has one */
  readonly quick: Quick | undefined
  readonly underWay: Budget
  readonly inProgress: progress.Progress
  /** the first pause before a sample is made again, and the longest; milliseconds */
  readonly first: number
  readonly cap: number
  nextSeqId: number
}

interface Wanted {
  readonly method: "sample" | "computeLogprobs"
  readonly prompt: ModelInput.ModelInput
  readonly given: SampleOptions
  readonly sampling_params: typeof Sampling.SamplingParams.Type
  readonly policy: RetryPolicy.RetryPolicy
  readonly noProgressLimit: Duration.DurationInput
  readonly resubmit: boolean
  readonly bytes: number
}

type Sampled = Effect.Effect<Sampling.SampleResponse, TinkerError.TinkerError>
type Retrieval = RetrieveOptions<Sampling.SampleResponse, typeof Sampling.SampleResponse.Encoded>
type Submitted = Effect.Effect<Future.FutureEnvelope, TinkerError.TinkerError>

/**
 * A sample under way. There are thousands: it is one object, it makes what it needs when something goes wrong only then,
 * and where its client has a short way it goes this way by callbacks, and is an effect again when anything else comes of
 * it than a result.
 */
class Sample implements QuickThen {
  private readonly shared: Shared
  private readonly wanted: Wanted
  private readonly running: observe.Running
  private readonly startMillis: number
  // of the attempt under way
  private seqId = 0
  private sentMillis = 0
  // of the short way: how it ends, and the wait for the result once the service has accepted the sample
  private resume: ((rest: Sampled) => void) | undefined = undefined
  private retrieval: Retrieval | undefined = undefined

  constructor(shared: Shared, wanted: Wanted, running: observe.Running) {
    this.shared = shared
    this.wanted = wanted
    this.running = running
    this.startMillis = this.now
    running.bytes = wanted.bytes
  }

  private get now() {
    return this.running.clock.unsafeCurrentTimeMillis()
  }

  run(): Sampled {
    return this.shared.quick === undefined
      ? Effect.flatMap(this.takePlace()?.admission() ?? Effect.void, () => this.attempt(0))
      : // an interruption leaves what is held, and with it the request
        Effect.async<Sampling.SampleResponse, TinkerError.TinkerError>((resume) => {
          this.resume = resume
          const waiting = this.takePlace()
          if (waiting === undefined) this.enterQuickly()
          else waiting.admit = () => this.guarded(this.enterQuickly)
        })
  }

  private takePlace() {
    const place = new Pass()
    this.running.place = place
    return place.enter(this.shared.underWay, 1)
  }

  // what is thrown in a callback is thrown at nobody
  private guarded(step: () => void) {
    try {
      step.call(this)
    } catch (defect) {
      this.resume!(Effect.die(defect))
    }
  }

  private enterQuickly() {
    const { samples } = this.shared.limits
    if (!samples.isFree) return this.resume!(this.attempt(0))
    samples.enterThen(this.wanted.bytes, this.running, () => this.guarded(this.postQuickly))
  }

  private postQuickly() {
    const { limits, quick } = this.shared
    if (!limits.samples.isFree) {
      return this.resume!(Effect.flatMap(limits.samples.goAhead, () => this.submit(0)))
    }
    this.begin()
    const asked = quick!(TinkerApi.asample, this.request, this.requestOptions, this)
    if (asked === undefined) this.resume!(this.submitted(this.post(), 0))
    else this.running.request = asked
  }

  onValue(value: unknown) {
    this.running.request = undefined
    if (this.retrieval !== undefined) {
      this.resume!(found(this.retrieval, value) ?? this.retrieved(this.retrieval, Effect.succeed(value)))
      return
    }
    this.retrieval = this.accepted(value as Future.FutureEnvelope)
    const asked =
      this.shared.completions === undefined ? pollQuickly(this.shared.quick!, this.retrieval, this) : undefined
    if (asked === undefined) this.resume!(this.retrieved(this.retrieval))
    else this.running.request = asked
  }

  onElse(rest: Effect.Effect<unknown, TinkerError.TinkerError>) {
    this.running.request = undefined
    this.resume!(
      this.retrieval === undefined ? this.submitted(rest as Submitted, 0) : this.retrieved(this.retrieval, rest)
    )
  }

  private attempt(count: number): Sampled {
    const wait = this.enter()
    return wait === undefined ? this.submit(count) : Effect.flatMap(wait, () => this.submit(count))
  }

  private submit(count: number): Sampled {
    this.begin()
    return this.submitted(this.post(), count)
  }

  private begin() {
    this.seqId = this.shared.nextSeqId++
    this.sentMillis = this.now
  }

  private submitted(first: Submitted, count: number): Sampled {
    const wait = (envelope: Future.FutureEnvelope) => retrieve(this.shared.client, this.accepted(envelope))
    return Effect.catchAll(
      Effect.matchEffect(first, {
        onFailure: (error) => Effect.flatMap(this.persist(error), wait),
        onSuccess: wait
      }),
      (error) => this.again(error, count)
    )
  }

  private retrieved(retrieval: Retrieval, polled?: Effect.Effect<unknown, TinkerError.TinkerError>): Sampled {
    return Effect.catchAll(retrieve(this.shared.client, retrieval, polled), (error) => this.again(error, 0))
  }

  private enter() {
    return this.shared.limits.samples.enter(this.wanted.bytes, this.running)
  }

  private leave() {
    this.running.submission?.leave()
    this.running.submission = undefined
  }

  private get request() {
    const { given, prompt, sampling_params } = this.wanted
    return {
      num_samples: given.num_samples ?? 1,
      prompt,
      sampling_params,
      sampling_session_id: this.shared.samplingSessionId,
      // the same over all tries of an attempt: the service knows the request again
      seq_id: this.seqId,
      prompt_logprobs: given.prompt_logprobs ?? false,
      topk_prompt_logprobs: given.topk_prompt_logprobs ?? 0,
      ...set("topk_sample_logprobs", given.topk_sample_logprobs),
      ...set("target_prompt_logprobs", given.target_prompt_logprobs),
      ...set("prompt_alt_tokens_k", given.prompt_alt_tokens_k),
      ...set("prompt_logprobs_last_n", given.prompt_logprobs_last_n),
      ...set("record_stability_info", given.record_stability_info),
      type: "sample" as const
    }
  }

  private get requestOptions() {
    const { method, policy } = this.wanted
    return { method, policy: oneAttempt(policy), headers: backpressure, span: this.running.span }
  }

  private post(): Submitted {
    return this.shared.client.call(TinkerApi.asample, this.request, this.requestOptions)
  }

  /** The submission is over; what the wait for the result needs. */
  private accepted({ request_id, sample_sequence_ids }: Future.FutureEnvelope): Retrieval {
    const { running, shared } = this
    this.leave()
    running.accepted()
    return {
      method: this.wanted.method,
      requestId: request_id,
      type: "Sample",
      schema: Sampling.SampleResponse,
      protobuf: ProtobufCodec.decodeSampleResponse,
      queue: shared.queueState,
      completions: shared.completions,
      responses: shared.limits.responses,
      running,
      progress: shared.inProgress,
      noProgressLimit: this.wanted.noProgressLimit,
      map: (response) => withSequenceIds(response, sample_sequence_ids),
      roundtripSeconds: (this.now - this.sentMillis) / 1000
    }
  }

  private get check() {
    const { inProgress, queueState } = this.shared
    const { method, noProgressLimit } = this.wanted
    const { startMillis } = this
    return progress.watch({ method, progress: inProgress, limit: noProgressLimit, startMillis, queue: queueState })
      .check
  }

  private get retries() {
    return millis(this.wanted.policy.total) > 0
  }

  /** Submits again after a failure. */
  private persist(first: TinkerError.TinkerError): Submitted {
    const failed = (error: TinkerError.TinkerError): Submitted => {
      this.running.retried()
      // the service wants less: all samplers of the session wait, without counting it as a failure
      const isWish = error._tag === "RateLimited" && this.retries && error.shouldRetry !== false
      // before the room is another's, who would go ahead
      if (isWish) this.shared.limits.samples.pause(this.now, this.wanted.bytes, error.retryAfter)
      this.leave()
      return isWish ? Effect.zipRight(this.check, patient) : Effect.fail(error)
    }
    const patient: Submitted = Effect.suspend(() => {
      const wait = this.enter()
      return Effect.catchAll(
        wait === undefined
          ? this.post()
          : Effect.zipRight(
              wait,
              Effect.suspend(() => this.post())
            ),
        failed
      )
    })
    return Effect.catchAll(failed(first), (error) => {
      if (!error.isRetryable && error._tag !== "DecodeError") return Effect.fail(error)
      let failure: TinkerError.TinkerError | undefined = error
      return Effect.suspend(() => {
        const known = failure
        failure = undefined
        return known === undefined ? patient : Effect.fail(known)
      }).pipe(RetryPolicy.retryUnreadable, RetryPolicy.apply(this.wanted.policy))
    })
  }

  /** Makes the sample again, as a new request. */
  private again(error: TinkerError.TinkerError, count: number): Sampled {
    const { cap, first } = this.shared
    return this.wanted.resubmit && this.retries && (error._tag === "FutureExpired" || error.isRetryable)
      ? Effect.zipRight(
          this.check,
          Effect.flatMap(RetryPolicy.jittered(first, cap, count), (delay) =>
            Effect.zipRight(
              Effect.sleep(delay),
              Effect.suspend(() => this.attempt(count + 1))
            )
          )
        )
      : Effect.fail(error)
  }
}

/**
 * A client for a sampling session that exists. What the service says of samples holds for all clients of the session.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fnUntraced(function* (
  options: {
    readonly client: TinkerClient.Service
    readonly session: Session.Service
    readonly samplingSessionId: string
  } & ClientOptions
): Effect.fn.Return<SamplingClient> {
  const { client, samplingSessionId, session } = options
  const flags = session.clientConfig
  const attributes = { "tinker.sampling_session_id": samplingSessionId }
  const queueState = yield* QueueState.make(`Sampling from ${samplingSessionId}`, attributes)
  const limits = sessionLimits.of(session)
  const completions = flags.sample_use_retrieve_futures ? makeCompletions(options) : undefined
  // one poll for all of them needs no limit of its own
  const underWay = Budget.count(
    options.maxConcurrent ?? (completions === undefined ? limits.maxSamples : Number.MAX_SAFE_INTEGER)
  )
  const shared: Shared = {
    client,
    samplingSessionId,
    queueState,
    limits,
    completions,
    quick: quick in client ? (client[quick] as Quick) : undefined,
    underWay,
    inProgress: progress.make(),
    first: millis(options.resubmitFirst ?? "500 millis"),
    cap: millis(options.resubmitCap ?? "10 seconds"),
    nextSeqId: 0
  }
  const stuckDetection = flags.sample_enable_stuck_detection
  const noRetries = flags.sample_no_retries
  const abandon = ({ requestId }: observe.Running) =>
    requestId === undefined ? Effect.void : session.abandon(requestId)

  const sampleAs = (method: Wanted["method"], prompt: ModelInput.ModelInput, given: SampleOptions): Sampled =>
    Effect.withFiberRuntime((fiber) => {
      const problem = checkOptions(prompt, given)
      if (problem !== undefined) return problem
      const params = readSamplingParams(given.sampling_params)
      if (Either.isLeft(params)) return params.left
      const context = fiber.getFiberRef(FiberRef.currentContext)
      const wanted: Wanted = {
        method,
        prompt,
        given,
        sampling_params: params.right,
        policy: Context.get(context, RetryPolicy.CurrentRetryPolicy),
        noProgressLimit: stuckDetection ? Context.get(context, TinkerFuture.NoProgressLimit) : Duration.infinity,
        resubmit: options.resubmit ?? !(noRetries && method === "sample"),
        bytes: chunking.estimatePrompt(prompt)
      }
      return observe.lean(
        `SamplingClient.${method}`,
        attributes,
        (running) => new Sample(shared, wanted, running).run(),
        abandon
      )
    })

  const baseModel = (method: string) =>
    Effect.map(
      client.call(TinkerApi.getSampler, undefined as never, { method, path: { sampler_id: samplingSessionId } }),
      ({ base_model }) => base_model
    )
  return {
    samplingSessionId,
    sample: (prompt, options = {}) => sampleAs("sample", prompt, options),
    computeLogprobs: (prompt) =>
      Effect.flatMap(
        sampleAs("computeLogprobs", prompt, { sampling_params: { max_tokens: 1 }, prompt_logprobs: true }),
        ({ prompt_logprobs }) =>
          prompt_logprobs === undefined
            ? new TinkerError.DecodeError({ method: "computeLogprobs", reason: "prompt_logprobs: is missing" })
            : Effect.succeed(prompt_logprobs)
      ),
    getBaseModel: baseModel("getBaseModel"),
    getTokenizer: Effect.flatMap(baseModel("getTokenizer"), (name) =>
      Effect.flatMap(Tokenizers.Tokenizers, (tokenizers) => tokenizers.forModel(name))
    ),
    queueState: { current: queueState.current, changes: queueState.changes }
  }
})

const withSequenceIds = (
  response: Sampling.SampleResponse,
  ids: ReadonlyArray<string> | undefined
): Sampling.SampleResponse =>
  ids === undefined || ids.length !== response.sequences.length
    ? response
    : { ...response, sequences: response.sequences.map((sequence, i) => ({ ...sequence, sequence_id: ids[i]! })) }

/**
 * A new sampling session, on a base model or on saved sampler weights, and its client.
 *
 * @since 0.1.0
 * @category constructors
 */
export const create = Effect.fn("SamplingClient.create")(function* (
  options: {
    readonly client: TinkerClient.Service
    readonly session: Session.Service
  } & ({ readonly model_path: string } | { readonly base_model: string }) &
    ClientOptions
): Effect.fn.Return<SamplingClient, TinkerError.TinkerError> {
  const { client, session } = options
  const method = "createSamplingClient"
  if (
    "model_path" in options &&
    !Option.exists(TinkerPath.parse(options.model_path), ({ kind }) => kind === "sampler_weights")
  ) {
    return yield* invalid(
      method,
      "model_path",
      `is ${JSON.stringify(options.model_path)}: give "tinker://<training run>/sampler_weights/<name>"`
    )
  }
  if ("base_model" in options && options.base_model.trim() === "") {
    return yield* invalid(method, "base_model", "is empty: name a base model")
  }
  const { maxConcurrent } = options
  if (maxConcurrent !== undefined && !(Number.isInteger(maxConcurrent) && maxConcurrent > 0)) {
    return yield* invalid(method, "maxConcurrent", `is ${maxConcurrent}: give a whole number above 0`)
  }
  const { sampling_session_id } = yield* client.call(
    TinkerApi.createSamplingSession,
    {
      session_id: session.sessionId,
      sampling_session_seq_id: yield* session.nextSamplingSeqId,
      ...("model_path" in options ? { model_path: options.model_path } : { base_model: options.base_model }),
      type: "create_sampling_session"
    },
    { method }
  )
  return yield* make({ ...options, samplingSessionId: sampling_session_id })
})
