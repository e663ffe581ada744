/** Sample requests: deduplicates and admits them, and runs a few at a time on the engine. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Sampling from "@effect-tinker/api/Sampling"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Engine from "../../Engine.ts"
import * as currentUser from "../auth/currentUser.ts"
import { currentMillisUnsafe, interruptInBackground, scoped } from "../effect/runtime.ts"
import * as fairModel from "../turns/fairModel.ts"
import * as fingerprint from "../util/fingerprint.ts"
import * as size from "../util/size.ts"
import * as responses from "../util/responses.ts"
import { findBaseModel } from "../work/baseModels.ts"
import { overloaded } from "../work/environment.ts"
import type * as futures from "../work/futures.ts"
import { inputProblem } from "../work/offers.ts"
import * as outcomes from "../work/outcomes.ts"
import { numbersProblem, totalProblem } from "./bounds.ts"
import { addCompletion } from "./sampleCompletions.ts"
import { maxRemembered, type SamplerRecord, type Samplers } from "./samplers.ts"
import { findSampler } from "./samplingSessions.ts"
import { scoresPrompt, scoringProblem } from "./scoring.ts"
import type { Source } from "./sources.ts"

/** A sample request on its way into the engine. @internal */
export interface SampleSubmission {
  readonly record: SamplerRecord
  /** absent for requests that name a base model or a path */
  readonly seqId: number | undefined
  readonly request: Sampling.SampleRequest
  /** of a request with a `seqId`, which may be repeated; else empty */
  readonly fingerprint: string
  readonly bytes: number
  readonly load: futures.SessionLoad
  readonly parent: outcomes.ParentSpan
  readonly clock: Clock.Clock
}

/** The request with its JSON schema in a form that the engine enforces. */
const withSchema = (
  { schemas }: Engine.Service,
  request: Sampling.SampleRequest
): Effect.Effect<Sampling.SampleRequest, responses.OperationRejection> => {
  const { json_schema: schema } = request
  if (schema === undefined) return Effect.succeed(request)
  if (schemas !== true) {
    return responses.badRequest("json_schema: the engine of this service keeps no sample to a JSON schema")
  }
  const enforced = Sampling.enforceJsonSchema(schema)
  return Either.isRight(enforced)
    ? Effect.succeed({ ...request, json_schema: enforced.right })
    : responses.badRequest(`${enforced.left.path} ${enforced.left.reason}`)
}

/** Finds what a request samples from, and whose it is. @internal */
export const toSubmission = Effect.fnUntraced(function* (
  samplers: Samplers,
  request: Sampling.SampleRequest
): Effect.fn.Return<SampleSubmission, responses.OperationRejection> {
  const record = yield* findSampler(samplers, request)
  const { session } = record
  const seqId = request.sampling_session_id === undefined ? undefined : request.seq_id
  if (seqId !== undefined && seqId < 0) return yield* responses.badRequest(`seq_id is ${seqId}, which is below 0`)
  if (session !== undefined) yield* session.touch
  return {
    record,
    seqId,
    request: yield* withSchema(samplers.environment.engine, request),
    fingerprint: seqId === undefined ? "" : fingerprint.of({ ...request, seq_id: undefined }),
    bytes: size.of(request),
    load: session?.load ?? samplers.loadOf(yield* currentUser.CurrentUser),
    parent: yield* outcomes.currentParentSpan,
    clock: yield* Effect.clock
  }
})

/** Samples in the background. A request that is repeated under its `seq_id` gets the receipt of the first. @internal */
export const submitSample = Effect.fnUntraced(function* (
  samplers: Samplers,
  request: Sampling.SampleRequest
): Effect.fn.Return<futures.Receipt, responses.OperationRejection> {
  const submission = yield* toSubmission(samplers, request)
  const { fingerprint: hash, record, seqId } = submission
  return yield* Effect.suspend((): Effect.Effect<futures.Receipt, responses.OperationRejection> => {
    const before = seqId === undefined ? undefined : record.requests.get(seqId)
    if (before !== undefined) {
      return before.fingerprint === hash
        ? Effect.succeed(before.receipt)
        : responses.conflict(`sampling session ${record.id}: seq_id ${seqId} was used for another request`)
    }
    return reject(samplers, submission) ?? start(samplers, submission)
  }).pipe(Effect.uninterruptible)
})

/** Why a request is not admitted. @internal */
export const reject = (
  { environment }: Samplers,
  { bytes, load, record, request }: SampleSubmission
): responses.OperationRejection | undefined => {
  const problem = promptProblem(environment.engine, request, record.source!)
  if (problem !== undefined) return responses.badRequest(problem)
  const rejection = environment.admission.rejection ?? overloaded(environment, load, bytes)
  if (rejection !== undefined) return rejection
  return record.session?.isLive() === false
    ? responses.notFound(`there is no sampling session ${record.id}`)
    : undefined
}

const promptProblem = (engine: Engine.Service, request: Sampling.SampleRequest, source: Source): string | undefined => {
  const { prompt, sampling_params } = request
  const tooLarge = numbersProblem(request)
  if (tooLarge !== undefined) return tooLarge
  const notRead = inputProblem(engine, "prompt", prompt)
  if (notRead !== undefined) return notRead
  const length = Either.getOrUndefined(ModelInput.lengthEither(prompt))
  if (length === undefined) return undefined
  if (length === 0) return "prompt is empty: give it one token or more"
  const limit = findBaseModel(engine, source.base_model)!.max_context_length
  if (length > limit) return `prompt has ${length} tokens, but the model's context length is ${limit}`
  // the logits of the prompt's last token are there, so that a request to score the prompt may take one token from them
  const room = limit - length === 0 && scoresPrompt(request) ? 1 : limit - length
  const maxTokens = sampling_params.max_tokens ?? room
  if (maxTokens > room || room === 0) {
    const next = sampling_params.max_tokens === undefined ? "" : ` and max_tokens is ${maxTokens}`
    return `prompt has ${length} tokens${next}, but the model's context length is ${limit}`
  }
  const demand: Engine.Demand = {
    _tag: "Sample",
    base_model: source.base_model,
    prompt_tokens: length,
    max_tokens: maxTokens,
    scores_prompt: scoresPrompt(request)
  }
  return (
    totalProblem(request.num_samples, maxTokens) ??
    scoringProblem(engine, request, length, maxTokens) ??
    engine.demandProblem?.(demand)
  )
}

/** Registers the future of a request and forks its work. */
const start = (samplers: Samplers, submission: SampleSubmission): Effect.Effect<futures.Receipt> => {
  const { futures, scope } = samplers.environment
  const { fingerprint, parent, record, seqId } = submission
  const entry = addFuture(samplers, submission)
  const { receipt } = entry
  if (seqId !== undefined) {
    const { requests } = record
    requests.set(seqId, { fingerprint, receipt })
    if (requests.size > maxRemembered) requests.delete(requests.keys().next().value!)
  }
  const work = outcomes.runOperation(
    "Sample",
    parent,
    { sampling_session_id: record.id, seq_id: seqId },
    Effect.map(sampleInEngine(samplers, submission, entry), sampleResult)
  )
  const complete = (outcome: outcomes.Outcome) =>
    Effect.flatMap(futures.complete(entry, outcome), () => addCompletion(record, seqId, receipt.id, outcome))
  return outcomes.settle(work, complete).pipe(
    Effect.forkIn(record.session?.workers ?? scope),
    Effect.map((fiber) => {
      entry.cancel = Effect.flatMap(futures.complete(entry, outcomes.failed("the request was cancelled", "user")), () =>
        interruptInBackground(fiber)
      )
      return receipt
    })
  )
}

/** @internal */
export const addFuture = (
  samplers: Samplers,
  { bytes, clock, load, record, request, seqId }: SampleSubmission
): futures.Entry => {
  const { futures, records } = samplers.environment
  // another service, after this one, counts them from 0 again
  const unnumbered = () => `unnumbered-${records.instance.slice(-12)}-${samplers.unnumbered++}`
  const id = `${record.id}:${seqId ?? unnumbered()}`
  const sample_sequence_ids = Array.from({ length: request.num_samples }, (_, index) => `${id}:${index}`)
  const entry: futures.Entry = futures.add({
    receipt: { id, envelope: { sample_sequence_ids } },
    event: { name: "Sample", target: record.id, seq_id: seqId, queued: currentMillisUnsafe(clock) },
    touch: record.session?.touch ?? Effect.void,
    load,
    bytes,
    state: () =>
      entry.started === undefined
        ? {
            queue_state: "paused_capacity",
            queue_state_reason: "it waits for its turn: other requests run"
          }
        : { queue_state: "active" }
  })
  return entry
}

/** Samples in its turn, and records the tokens in the usage log. @internal */
export const sampleInEngine = (
  samplers: Samplers,
  submission: SampleSubmission,
  entry: futures.Entry,
  onToken?: Engine.SampleOptions["onToken"]
): Effect.Effect<Sampling.SampleResponse, outcomes.Failure> => {
  const { clock, load, record, request } = submission
  const { engine, turns } = samplers.environment
  const prompt = fairModel.lengthOf(request.prompt)
  const limit = findBaseModel(engine, record.source!.base_model)!.max_context_length
  const claim = {
    owner: load.user.owner,
    target: record.id,
    batched: engine.batch !== undefined,
    onStart: () => {
      entry.started = currentMillisUnsafe(clock)
    },
    ...fairModel.sampleCosts(prompt, request.num_samples, request.sampling_params.max_tokens ?? limit - prompt)
  }
  const sampled = Effect.flatMap(samplers.engineSampler(record), (sampler) =>
    sampler.sample({
      ...toSampleOptions(request),
      ...(onToken === undefined ? {} : { onToken })
    })
  )
  return turns.run(claim, scoped(sampled)).pipe(
    Effect.tap((response) => recordUsage(samplers, record, load, prompt, response)),
    Effect.tap((response) => recordStability(samplers, submission, entry, response))
  )
}

// engines get no fields that are absent or have no effect
const toSampleOptions = (request: Sampling.SampleRequest): Engine.SampleOptions => {
  const { num_samples, prompt, prompt_logprobs, sampling_params, topk_prompt_logprobs } = request
  const { json_schema, prompt_alt_tokens_k, prompt_logprobs_last_n, target_prompt_logprobs, topk_sample_logprobs } =
    request
  return {
    num_samples,
    prompt,
    prompt_logprobs,
    sampling_params,
    topk_prompt_logprobs,
    ...(prompt_logprobs_last_n === undefined ? {} : { prompt_logprobs_last_n }),
    ...(target_prompt_logprobs === undefined ? {} : { target_prompt_logprobs }),
    ...(topk_sample_logprobs ? { topk_sample_logprobs } : {}),
    ...(prompt_alt_tokens_k ? { prompt_alt_tokens_k } : {}),
    ...(json_schema === undefined ? {} : { json_schema })
  }
}

const recordUsage = (
  { environment: { usageLog } }: Samplers,
  { session, source }: SamplerRecord,
  { user: { owner } }: futures.SessionLoad,
  prefilled: number,
  { sequences }: Sampling.SampleResponse
): Effect.Effect<void> => {
  const account = { owner, session_id: session?.id, base_model: source!.base_model }
  const sampled = sequences.reduce((sum, { tokens }) => sum + tokens.length, 0)
  return Effect.flatMap(usageLog.record({ ...account, type: "sampling_prefill", count: prefilled }), () =>
    usageLog.record({ ...account, type: "sampling_sample", count: sampled })
  )
}

/** Records the sequences for training with `stable_reinforce`, if the request asks for it. */
const recordStability = (
  { environment: { stability } }: Samplers,
  { clock, record: { session }, request }: SampleSubmission,
  { receipt }: futures.Entry,
  { sequences }: Sampling.SampleResponse
): Effect.Effect<void> =>
  Effect.sync(() => {
    if (request.record_stability_info !== true || session?.isLive() !== true) return
    const ids = receipt.envelope.sample_sequence_ids ?? []
    stability.add(session.id, ids, request.prompt, sequences, currentMillisUnsafe(clock))
  })

const encodeSample = Schema.encodeSync(Sampling.SampleResponse)

// results are retained: they are made in a separate function, so that their closures do not retain the request
const sampleResult = (response: Sampling.SampleResponse) =>
  outcomes.done({
    bytes: size.of(response),
    json: () => encodeSample(response),
    protobuf: () => ProtobufCodec.encodeSampleResponse(response)
  })
