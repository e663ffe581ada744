/**
 * Samples of requests that wait for them: read while they are sampled, or whole. Whoever leaves ends the sample, and frees its
 * place.
 */
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { interruptInBackground } from "../effect/runtime.ts"
import * as responses from "../util/responses.ts"
import type * as futures from "../work/futures.ts"
import * as outcomes from "../work/outcomes.ts"
import { addFuture, reject, sampleInEngine, type SampleSubmission, toSubmission } from "./sampleRequests.ts"
import type { Samplers } from "./samplers.ts"
import { type SampleEvent, TokenBuffer } from "./tokenBuffer.ts"

/** What was sampled since the reader last took something. @internal */
export type SampleStream = Stream.Stream<ReadonlyArray<SampleEvent>, outcomes.Failed>

const toFailed = (error: outcomes.Failure): outcomes.Failed =>
  outcomes.failed(error.message, outcomes.categoryOf(error))

/** Ends the future of a sample, which counted as an operation of its user until then. No client knows its id. */
const endFuture = ({ environment: { futures } }: Samplers, entry: futures.Entry, exit: Exit.Exit<unknown, unknown>) =>
  Effect.map(
    futures.complete(entry, outcomes.failed(Exit.isSuccess(exit) ? "it was answered" : "the reader left", "user")),
    () => futures.forget(entry.receipt.id)
  )

const inSpan = <A, E>({ parent, record }: SampleSubmission, sampled: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.withSpan(sampled, "tinker.server.Sample", {
    attributes: { sampling_session_id: record.id },
    captureStackTrace: false,
    ...(Option.isSome(parent) ? { parent: parent.value } : { root: true })
  })

/** Starts a sample that ends with the scope. It counts as an operation of its user until then. */
const start = (
  samplers: Samplers,
  submission: SampleSubmission
): Effect.Effect<TokenBuffer, responses.OperationRejection, Scope.Scope> =>
  Effect.gen(function* () {
    const rejection = reject(samplers, submission)
    if (rejection !== undefined) return yield* rejection
    const buffer = new TokenBuffer()
    const entry = addFuture(samplers, { ...submission, seqId: undefined })
    yield* Effect.addFinalizer((exit) => endFuture(samplers, entry, exit))
    const sampled = inSpan(
      submission,
      sampleInEngine(samplers, submission, entry, (token) => buffer.add(token))
    ).pipe(Effect.onExit((exit) => Effect.sync(() => buffer.end(exit))))
    const fiber = yield* Effect.forkScoped(Effect.interruptible(sampled))
    entry.cancel = interruptInBackground(fiber)
    return buffer
  }).pipe(Effect.uninterruptible)

/** Admits a request. A client that resumes nothing needs no `seq_id`, and none is deduplicated. */
const admit = (
  samplers: Samplers,
  request: Sampling.SampleRequest
): Effect.Effect<SampleSubmission, responses.OperationRejection> =>
  Effect.gen(function* () {
    if (request.record_stability_info === true) {
      return yield* responses.badRequest("record_stability_info: samples that are streamed are not recorded")
    }
    const submission = yield* toSubmission(samplers, request)
    const rejection = reject(samplers, submission)
    return rejection === undefined ? submission : yield* rejection
  })

/**
 * Admits a request, and returns its sample, which is made when it is run.
 *
 * @internal
 */
export const sampleWhole = (
  samplers: Samplers,
  request: Sampling.SampleRequest
): Effect.Effect<Effect.Effect<Sampling.SampleResponse, outcomes.Failed>, responses.OperationRejection> =>
  Effect.map(admit(samplers, request), (submission) =>
    Effect.acquireUseRelease(
      Effect.suspend(() => {
        // others may have been admitted since
        const rejection = reject(samplers, submission)
        return rejection === undefined
          ? Effect.sync(() => addFuture(samplers, { ...submission, seqId: undefined }))
          : Effect.fail(outcomes.failed(rejection.detail, "user"))
      }),
      (entry) => Effect.mapError(inSpan(submission, sampleInEngine(samplers, submission, entry)), toFailed),
      (entry, exit) => endFuture(samplers, entry, exit)
    )
  )

/**
 * Admits a request, and returns the stream of its tokens, which samples when it is run.
 *
 * @internal
 */
export const streamSample = (
  samplers: Samplers,
  request: Sampling.SampleRequest
): Effect.Effect<SampleStream, responses.OperationRejection> =>
  Effect.map(admit(samplers, request), (submission) =>
    Stream.unwrapScoped(
      Effect.map(
        Effect.mapError(start(samplers, submission), ({ detail }) => outcomes.failed(detail, "user")),
        ({ take }) =>
          Stream.repeatEffectOption(
            Effect.matchEffect(take, {
              onFailure: (error) => Effect.fail(Option.some(toFailed(error))),
              onSuccess: (events) => (events === undefined ? Effect.fail(Option.none()) : Effect.succeed(events))
            })
          )
      )
    )
  )
