/** One sample, from its call to its result. The first attempt runs on callbacks; retries and slow polls run as Effects. */
import type * as Future from "@effect-tinker/api/Future"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Sampling from "@effect-tinker/api/Sampling"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as QueueState from "../../QueueState.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import type { Caller } from "../effect/runtime.ts"
import { type Budget, Permits } from "../limits/budget.ts"
import type * as sessionLimits from "../limits/sessionLimits.ts"
import type { Completions, Options as RetrieveOptions } from "../polling/options.ts"
import * as progress from "../polling/progress.ts"
import { retrieve, startFirstPoll } from "../polling/retrieve.ts"
import type { OperationRecord } from "../telemetry/instrument.ts"
import { Usage } from "../telemetry/usage.ts"
import type { CallHandler, CallOptions } from "../transport/callOptions.ts"
import { type DurationInput, millis } from "../util/duration.ts"
import { type SampleInput, sampleRequest, withSequenceIds } from "./sampleRequest.ts"
import type { RetryReport } from "../telemetry/retryReport.ts"
import { cancellation } from "../session/policies.ts"
import { failingFirst, jittered, retryUnreadable } from "../util/backoff.ts"

const backpressureHeaders = { "x-tinker-sampling-backpressure": "1" }

/** What the samples of a client share. @internal */
export interface Sampler {
  readonly client: TinkerClient.Service
  readonly samplingSessionId: string
  readonly queueState: QueueState.Observer
  readonly limits: sessionLimits.Limits
  readonly completions: Completions | undefined
  /** how many samples are in flight */
  readonly inFlight: Budget
  readonly progress: progress.Progress
  /** the first pause before a sample is resubmitted, and the longest; milliseconds */
  readonly resubmitFirst: number
  readonly resubmitCap: number
  nextSeqId: number
}

/** @internal */
export interface SampleSettings extends SampleInput {
  readonly method: "sample" | "computeLogprobs"
  readonly policy: RetryPolicy.RetryPolicy
  readonly noProgressLimit: DurationInput
  readonly resubmit: boolean
  /** an estimate of the request's size */
  readonly bytes: number
}

type Sampled = Effect.Effect<Sampling.SampleResponse, TinkerError.TinkerError>
type Retrieval = RetrieveOptions<Sampling.SampleResponse, typeof Sampling.SampleResponse.Encoded>
type Submitted = Effect.Effect<Future.FutureEnvelope, TinkerError.TinkerError>

/** It is one object, since thousands are in flight; what only failures need is allocated when one happens. @internal */
export class SampleOperation implements CallHandler {
  private readonly sampler: Sampler
  private readonly settings: SampleSettings
  private readonly record: OperationRecord
  private readonly caller: Caller
  private readonly startMillis: number
  private readonly usage: Usage
  // of the current submission
  private seqId = 0
  private submittedMillis = 0
  /** from the first failure that is retried */
  private report: RetryReport | undefined = undefined
  /** hands over from the callbacks to the caller's fiber, with the effect that it continues with */
  private resume: (rest: Sampled) => void = () => {}

  constructor(sampler: Sampler, settings: SampleSettings, record: OperationRecord, caller: Caller) {
    this.sampler = sampler
    this.settings = settings
    this.record = record
    this.caller = caller
    this.startMillis = this.now
    record.bytes = settings.bytes
    const length = ModelInput.lengthEither(settings.prompt)
    this.usage = record.usage = new Usage("text_completion", Either.isRight(length) ? length.right : 0)
  }

  private get now() {
    return this.record.clock.unsafeCurrentTimeMillis()
  }

  /** Starts the callbacks. On interruption `instrumentDetached` releases the record, and with it the request. */
  run(): Sampled {
    return Effect.async<Sampling.SampleResponse, TinkerError.TinkerError>((resume) => {
      this.resume = resume
      const place = new Permits()
      this.record.place = place
      place.acquire(this.sampler.inFlight, 1, () => this.guard(this.acquireRoom))
    })
  }

  // an exception in a callback would be lost
  private guard(step: () => void) {
    try {
      step.call(this)
    } catch (defect) {
      this.resume(Effect.die(defect))
    }
  }

  private acquireRoom() {
    const { samples } = this.sampler.limits
    if (!samples.isUnthrottled) return this.resume(this.submitWithRoom(0))
    samples.acquire(this.settings.bytes, this.record, this.now, () => this.guard(this.startSubmission))
  }

  private startSubmission() {
    const { client, limits } = this.sampler
    // the service may have asked for a pause while this sample waited for room
    if (!limits.samples.isUnthrottled) {
      return this.resume(Effect.flatMap(limits.samples.resumed, () => this.submit(0)))
    }
    this.beginSubmission()
    this.record.request = client.start(TinkerApi.asample, this.request, this.callOptions, this.caller, this)
  }

  /** The service has accepted the submission. */
  onValue(envelope: unknown) {
    const { client, completions } = this.sampler
    const retrieval = this.accepted(envelope as Future.FutureEnvelope)
    if (completions !== undefined) {
      this.record.request = undefined
      return this.resume(this.resubmitting(retrieve(client, retrieval), 0))
    }
    this.record.request = startFirstPoll(client, retrieval, this.caller, (result) => {
      this.record.request = undefined
      this.resume(this.resubmitting(result, 0))
    })
  }

  onRest(rest: Effect.Effect<unknown, TinkerError.TinkerError>) {
    this.record.request = undefined
    this.resume(this.afterSubmission(rest as Submitted, 0))
  }

  private submitWithRoom(resubmissions: number): Sampled {
    return Effect.flatMap(this.admission, () => this.submit(resubmissions))
  }

  private submit(resubmissions: number): Sampled {
    this.beginSubmission()
    return this.afterSubmission(this.post(), resubmissions)
  }

  private beginSubmission() {
    this.seqId = this.sampler.nextSeqId++
    this.submittedMillis = this.now
    this.record.requestId = undefined
    this.record.submitted = this
  }

  /** The service may have the submission of an abandoned sample whose response did not arrive. */
  get resend(): Effect.Effect<string, TinkerError.TinkerError> {
    const { method } = this.settings
    return Effect.map(
      this.sampler.client.call(TinkerApi.asample, this.request, { method, policy: cancellation }),
      ({ request_id }) => request_id
    )
  }

  private afterSubmission(first: Submitted, resubmissions: number): Sampled {
    const wait = (envelope: Future.FutureEnvelope) => retrieve(this.sampler.client, this.accepted(envelope))
    return this.resubmitting(
      Effect.matchEffect(first, {
        onFailure: (error) => Effect.flatMap(this.retrySubmission(error), wait),
        onSuccess: wait
      }),
      resubmissions
    )
  }

  private get admission() {
    return this.sampler.limits.samples.admission(this.settings.bytes, this.record)
  }

  private releaseRoom() {
    this.record.submission?.release()
    this.record.submission = undefined
  }

  private get request() {
    return sampleRequest(this.sampler.samplingSessionId, this.seqId, this.settings)
  }

  private get callOptions(): CallOptions {
    const { method, policy } = this.settings
    // one attempt: `retrySubmission` retries, so that it can pause all samplers of the session
    return {
      method,
      policy: { ...policy, total: 0 },
      headers: backpressureHeaders,
      span: this.record.span,
      queue: this.sampler.queueState
    }
  }

  private post(): Submitted {
    return this.sampler.client.call(TinkerApi.asample, this.request, this.callOptions)
  }

  /** Releases the room for the submission. Returns the options for waiting for the result. */
  private accepted({ request_id, sample_sequence_ids }: Future.FutureEnvelope): Retrieval {
    const { record, sampler } = this
    this.releaseRoom()
    record.noteAccepted()
    return {
      method: this.settings.method,
      requestId: request_id,
      type: "Sample",
      schema: Sampling.SampleResponse,
      protobuf: ProtobufCodec.decodeSampleResponse,
      queue: sampler.queueState,
      completions: sampler.completions,
      responses: sampler.limits.responses,
      record,
      progress: sampler.progress,
      noProgressLimit: this.settings.noProgressLimit,
      map: (response) => {
        this.usage.outputTokens = response.sequences.reduce((sum, { tokens }) => sum + tokens.length, 0)
        this.usage.finishReasons = response.sequences.map(({ stop_reason }) => stop_reason)
        return withSequenceIds(response, sample_sequence_ids)
      },
      roundtripSeconds: (this.now - this.submittedMillis) / 1000
    }
  }

  private get checkProgress() {
    const { progress: inProgress, queueState } = this.sampler
    const { method, noProgressLimit } = this.settings
    const { startMillis } = this
    return progress.watch({ method, progress: inProgress, limit: noProgressLimit, startMillis, queue: queueState })
      .check
  }

  private reportRetry(error: TinkerError.TinkerError): Effect.Effect<void> {
    this.report ??= this.sampler.client.reportRetries(this.sampler.queueState)
    return this.report.onRetry(error)
  }

  private get retriesEnded(): Effect.Effect<void> {
    return Effect.suspend(() => this.report?.ended ?? Effect.void)
  }

  private get mayRetry() {
    return millis(this.settings.policy.total) > 0
  }

  /** Fails with the error of an attempt; but a 429 pauses all samplers, and the attempt is repeated after the pause. */
  private onAttemptFailed(error: TinkerError.TinkerError): Submitted {
    this.record.noteRetry()
    const isThrottled = error._tag === "RateLimited" && this.mayRetry && error.shouldRetry !== false
    // before the room is released, since that admits the next samples at once
    if (isThrottled) this.sampler.limits.samples.pause(this.now, this.settings.bytes, error.retryAfter)
    this.releaseRoom()
    if (!isThrottled) return Effect.fail(error)
    return Effect.flatMap(Effect.andThen(this.reportRetry(error), this.checkProgress), () => this.attemptWithRoom())
  }

  private attemptWithRoom(): Submitted {
    return Effect.catchAll(
      Effect.flatMap(
        Effect.suspend(() => this.admission),
        () => this.post()
      ),
      (error) => this.onAttemptFailed(error)
    )
  }

  /** Retries the submission after its first attempt failed, under the retry policy. */
  private retrySubmission(first: TinkerError.TinkerError): Submitted {
    return Effect.catchAll(this.onAttemptFailed(first), (error) => {
      if (!error.isRetryable && error._tag !== "DecodeError") return Effect.fail(error)
      return failingFirst(error, () => this.attemptWithRoom()).pipe(
        retryUnreadable((error) => this.reportRetry(error)),
        RetryPolicy.apply(this.settings.policy, (error) => this.reportRetry(error))
      )
    }).pipe(
      Effect.tap(() => this.retriesEnded),
      Effect.onInterrupt(() => this.retriesEnded)
    )
  }

  /** Resubmits the sample, as a new request, if its result has expired or it could not be submitted. */
  private resubmitting(sampled: Sampled, resubmissions: number): Sampled {
    return Effect.catchAll(sampled, (error) => {
      const mayResubmit = error._tag === "FutureExpired" || error.isRetryable
      if (!this.settings.resubmit || !this.mayRetry || !mayResubmit) {
        return Effect.andThen(this.retriesEnded, Effect.fail(error))
      }
      const { resubmitCap, resubmitFirst } = this.sampler
      const resubmitted = Effect.flatMap(Effect.andThen(this.reportRetry(error), this.checkProgress), () =>
        Effect.flatMap(jittered(resubmitFirst, resubmitCap, resubmissions), (delay) =>
          Effect.flatMap(Effect.sleep(delay), () => this.submitWithRoom(resubmissions + 1))
        )
      )
      return resubmissions === 0 ? Effect.ensuring(resubmitted, this.retriesEnded) : resubmitted
    })
  }
}
