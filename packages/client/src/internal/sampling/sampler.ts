/** Makes what the samples of a client share, and the settings of each. */
import type * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import type * as QueueState from "../../QueueState.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type * as Session from "../../Session.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import * as TinkerFuture from "../../TinkerFuture.ts"
import { type Caller, reference } from "../effect/runtime.ts"
import { Budget } from "../limits/budget.ts"
import * as sessionLimits from "../limits/sessionLimits.ts"
import * as progress from "../polling/progress.ts"
import { promptBytes } from "../limits/requestSize.ts"
import { millis } from "../util/duration.ts"
import { make as makeCompletions } from "./completedFutures.ts"
import { checkOptions, type ClientOptions, invalid, readSamplingParams, type SampleOptions } from "./options.ts"
import type { Sampler, SampleSettings } from "./sampleOperation.ts"

/** @internal */
export type MakeOptions = {
  readonly client: TinkerClient.Service
  readonly session: Session.Service
  readonly samplingSessionId: string
  /** its base model, where the caller knows it */
  readonly base_model?: string | undefined
} & ClientOptions

/** @internal */
export const makeSampler = (options: MakeOptions, queueState: QueueState.Observer): Sampler => {
  const { client, samplingSessionId, session } = options
  const limits = sessionLimits.of(session)
  const completions = session.clientConfig.sample_use_retrieve_futures
    ? makeCompletions({ ...options, queueState })
    : undefined
  return {
    client,
    samplingSessionId,
    queueState,
    limits,
    completions,
    // where one poll serves all samples, they need no limit
    inFlight: Budget.count(
      options.maxConcurrent ?? (completions === undefined ? limits.maxSamples : Number.MAX_SAFE_INTEGER)
    ),
    progress: progress.make(),
    resubmitFirst: millis(options.resubmitFirst ?? "500 millis"),
    resubmitCap: millis(options.resubmitCap ?? "10 seconds"),
    nextSeqId: 0
  }
}

/** Validates the arguments of a sample, and reads the references of its caller. @internal */
export const makeSettings =
  (flags: Session.Service["clientConfig"], { resubmit }: ClientOptions) =>
  (
    method: SampleSettings["method"],
    prompt: ModelInput.ModelInput,
    options: SampleOptions,
    caller: Caller
  ): Either.Either<SampleSettings, TinkerError.InvalidInput> => {
    const notTaken = options.json_schema !== undefined && !flags.sample_json_schemas
    const problem = notTaken
      ? invalid("sample", "json_schema", "is nothing that this service enforces: ask for JSON in the prompt")
      : checkOptions(prompt, options)
    if (problem !== undefined) return Either.left(problem)
    return Either.map(readSamplingParams(options.sampling_params), (samplingParams) => ({
      method,
      prompt,
      options,
      samplingParams,
      policy: reference(caller, RetryPolicy.CurrentRetryPolicy),
      noProgressLimit: flags.sample_enable_stuck_detection
        ? reference(caller, TinkerFuture.NoProgressLimit)
        : Duration.infinity,
      resubmit: resubmit ?? !(flags.sample_no_retries && method === "sample"),
      bytes: promptBytes(prompt)
    }))
  }
