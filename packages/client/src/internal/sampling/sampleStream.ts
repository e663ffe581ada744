/** The stream of a sample: as the service streams it, and by requests that continue each other elsewhere. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as SampleLine from "@effect-tinker/api/SampleLine"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { OperationRecord } from "../telemetry/instrument.ts"
import { Usage } from "../telemetry/usage.ts"
import { Permits } from "../limits/budget.ts"
import type { StreamedResponse } from "./streamedResponse.ts"
import * as continuations from "./continuations.ts"
import { readSamplingParams, type SampleOptions } from "./options.ts"
import type { Sampler } from "./sampleOperation.ts"
import { sampleRequest } from "./sampleRequest.ts"
import type { Delta } from "./streamOptions.ts"

const method = "stream"

/** The longest line of a stream: a piece is as long as what was sampled since the last one was read. */
const maxLine = 64 * 2 ** 20

const undecodable = (reason: string) => new TinkerError.DecodeError({ method, reason })

const decodeLine = Schema.decodeUnknownEither(Schema.parseJson(SampleLine.SampleLine))

const toLine = (text: string): Effect.Effect<SampleLine.SampleLine, TinkerError.TinkerError> => {
  const line = decodeLine(text)
  return Either.isLeft(line) ? undecodable(`a line of the stream: ${line.left.message}`) : Effect.succeed(line.right)
}

const categoryOf = (category: string) => (category === "user" || category === "server" ? category : "unknown")

type Lines = Stream.Stream<SampleLine.SampleLine, TinkerError.TinkerError>

/** The lines of a body. Empty ones keep the connection alive. */
const linesOf = (body: StreamedResponse["body"]): Lines =>
  Stream.suspend(() => {
    const decoder = new TextDecoder()
    let rest = ""
    return Stream.mapEffect(
      Stream.mapConcatEffect(body, (bytes) => {
        const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n")
        rest = parts.pop()!
        return rest.length > maxLine ? undecodable("a line of the stream is too long") : Effect.succeed(parts)
      }).pipe(Stream.filter((line) => line !== "")),
      toLine
    )
  })

/** The pieces of the only sequence. The last one waits for the end of the stream, which knows what was cached. */
const deltasOf = (lines: Lines): Stream.Stream<Delta, TinkerError.TinkerError> =>
  Stream.suspend(() => {
    let last: Delta | undefined
    const pieces = Stream.mapConcatEffect(
      lines,
      (line): Effect.Effect<ReadonlyArray<Delta>, TinkerError.TinkerError> => {
        switch (line.type) {
          case "sample_delta": {
            const { logprobs, stop_reason, tokens, topk_logprobs } = line
            const delta: Delta = { tokens, logprobs, topk_logprobs }
            if (stop_reason === undefined) return Effect.succeed([delta])
            last = { ...delta, stop_reason }
            return Effect.succeed([])
          }
          case "sample_end": {
            if (last === undefined) return undecodable("the stream ended before its sequence")
            const end: Delta = { ...last, prompt_cache_hit_tokens: line.prompt_cache_hit_tokens }
            last = undefined
            return Effect.succeed([end])
          }
          case "sample_failed":
            return new TinkerError.RequestFailed({ method, reason: line.error, category: categoryOf(line.category) })
        }
      }
    )
    return pieces
  })

/** Waits for a permit to be in flight, and holds it as long as the scope is open. */
const permit = ({ inFlight }: Sampler) =>
  Effect.acquireRelease(
    Effect.sync(() => new Permits()),
    (permits) => Effect.sync(() => permits.release())
  ).pipe(
    Effect.tap((permits) => Effect.async<void>((resume) => permits.acquire(inFlight, 1, () => resume(Effect.void))))
  )

/** Notes the tokens of a delta, and the reason of its end. */
const count = (usage: Usage, { stop_reason, tokens }: Delta): void => {
  usage.outputTokens = (usage.outputTokens ?? 0) + tokens.length
  if (stop_reason !== undefined) usage.finishReasons = [stop_reason]
}

const serviceStream = (
  sampler: Sampler,
  prompt: ModelInput.ModelInput,
  options: SampleOptions,
  record: OperationRecord
): Stream.Stream<Delta, TinkerError.TinkerError> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const samplingParams = yield* readSamplingParams(options.sampling_params)
      const { seq_id: _, ...request } = sampleRequest(sampler.samplingSessionId, 0, { prompt, options, samplingParams })
      yield* permit(sampler)
      const usage = (record.usage = new Usage("text_completion", ModelInput.length(prompt)))
      const response = yield* sampler.client.stream(TinkerApi.asample, request, {
        method,
        headers: { accept: SampleLine.contentType }
      })
      record.noteAccepted()
      return response.contentType.startsWith(SampleLine.contentType)
        ? Stream.tap(deltasOf(linesOf(response.body)), (delta) => Effect.sync(() => count(usage, delta)))
        : Stream.fail(undecodable(`the response is ${response.contentType}, and no stream`))
    })
  )

/**
 * A stream that the service ends too early, or cannot begin, goes on by requests: what was sampled stays, and what follows is
 * of the same distribution.
 */
const orContinue = (
  streamed: Stream.Stream<Delta, TinkerError.TinkerError>,
  start: continuations.Continuation
): Stream.Stream<Delta, TinkerError.TinkerError> =>
  Stream.suspend(() => {
    const tokens: Array<number> = []
    let hasEnded = false
    const noted = Stream.tap(streamed, (delta) =>
      Effect.sync(() => {
        for (const token of delta.tokens) tokens.push(token)
        hasEnded ||= delta.stop_reason !== undefined
      })
    )
    const rest = Stream.suspend((): Stream.Stream<Delta, TinkerError.TinkerError> => {
      if (hasEnded) return Stream.empty
      if (tokens.length >= start.options.sampling_params!.max_tokens!) {
        return Stream.succeed({ tokens: new Int32Array(0), stop_reason: "length" })
      }
      return continuations.stream({ ...start, round: tokens.length === 0 ? 0 : 1, tokens })
    })
    return Stream.concat(
      Stream.catchAll(noted, (error) => {
        if (!error.isRetryable && error._tag !== "DecodeError") return Stream.fail(error)
        return Stream.drain(
          Stream.fromEffect(Effect.logDebug(`${method}: it goes on by requests, since ${error.message}`))
        )
      }),
      rest
    )
  })

/** `options` has `max_tokens`, and everything was checked. @internal */
export const stream = (
  sampler: Sampler,
  streams: boolean,
  start: Omit<continuations.Continuation, "round" | "tokens">,
  record: OperationRecord
): Stream.Stream<Delta, TinkerError.TinkerError> => {
  const first = { ...start, round: 0, tokens: [] }
  return streams
    ? orContinue(serviceStream(sampler, start.prompt, start.options, record), first)
    : continuations.stream(first)
}
