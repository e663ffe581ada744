/** Samples for a request, and answers it: whole, or as a stream of events. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as OpenAi from "@effect-tinker/api/OpenAi"
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as TextFormats from "../../TextFormats.ts"
import type * as TinkerService from "../../TinkerService.ts"
import * as eventStreams from "../http/eventStreams.ts"
import { type Added, Choice, type Form } from "./choices.ts"
import { fromFailure, fromRejection, type OpenAiError, toBody } from "./errors.ts"

/** What is sampled for a request, and how it is answered. @internal */
export interface Job {
  readonly form: Form
  readonly model: string
  /** seconds since the epoch */
  readonly created: number
  readonly isStream: boolean
  readonly includesUsage: boolean
  /** one for each prompt, with as many sequences */
  readonly samples: ReadonlyArray<Sampling.SampleRequest>
  readonly reader: () => TextFormats.Reader
  readonly ignored: ReadonlyArray<string>
  readonly warnings: ReadonlyArray<string>
  /** is told each sample with its response, once it has ended */
  readonly onSampled: (sampled: Sampled) => Effect.Effect<void>
}

/** A sample that has ended, with what was read in each of its sequences. @internal */
export interface Sampled {
  readonly request: Sampling.SampleRequest
  readonly response: Sampling.SampleResponse
  readonly pieces: ReadonlyArray<ReadonlyArray<TextFormats.Piece>>
}

type Step =
  | { readonly _tag: "Added"; readonly index: number; readonly added: Added; readonly calls: number }
  | { readonly _tag: "End"; readonly response: Sampling.SampleResponse; readonly warnings: ReadonlyArray<string> }

/** Adds a piece; texts in a row become one. */
const append = (pieces: Array<TextFormats.Piece>, piece: TextFormats.Piece): void => {
  const last = pieces.at(-1)
  if ((piece._tag === "Text" || piece._tag === "Reasoning") && last?._tag === piece._tag) {
    pieces[pieces.length - 1] = { ...last, text: last.text + piece.text }
  } else pieces.push(piece)
}

/** The steps of one sample. `first` is the index of its first choice. */
const stepsOf = (
  job: Job,
  request: Sampling.SampleRequest,
  first: number,
  events: Effect.Effect.Success<ReturnType<TinkerService.Service["streamSample"]>>
): Stream.Stream<ReadonlyArray<Step>, OpenAiError> =>
  Stream.suspend(() => {
    const choices = Array.from({ length: request.num_samples }, () => new Choice(job.form, job.reader()))
    const pieces: Array<Array<TextFormats.Piece>> = choices.map(() => [])
    const step = (event: TinkerService.SampleEvent): Effect.Effect<Step> => {
      if (event._tag === "End") {
        const { response } = event
        const warnings = choices.flatMap((choice) => choice.warnings)
        return Effect.as(job.onSampled({ request, response, pieces }), { _tag: "End", response, warnings })
      }
      const { index } = event.delta
      const choice = choices[index]!
      return Effect.map(choice.push(event.delta), (added) => {
        const { calls } = choice
        choice.calls += added.pieces.filter(({ _tag }) => _tag === "ToolCall").length
        for (const piece of added.pieces) append(pieces[index]!, piece)
        return { _tag: "Added", index: first + index, added, calls }
      })
    }
    return events.pipe(
      Stream.mapError(fromFailure),
      Stream.mapEffect((events) => Effect.forEach(events, step))
    )
  })

/** The steps of all samples; they run at the same time. Fails before any if one is rejected. */
const start = (tinker: TinkerService.Service, job: Job) =>
  Effect.map(
    Effect.forEach(job.samples, (request) => Effect.mapError(tinker.streamSample(request), fromRejection)),
    (all) => {
      const streams = all.map((events, i) => stepsOf(job, job.samples[i]!, i * job.samples[i]!.num_samples, events))
      return streams.length === 1 ? streams[0]! : Stream.mergeAll(streams, { concurrency: "unbounded" })
    }
  )

/** Tokens of prompts and completions, summed over samples. */
class Usage {
  private readonly prompt: number
  private cached = 0
  private completion = 0

  constructor(samples: ReadonlyArray<Sampling.SampleRequest>) {
    this.prompt = samples.reduce((sum, { prompt }) => sum + ModelInput.length(prompt), 0)
  }

  add({ prompt_cache_hit_tokens, sequences }: Sampling.SampleResponse): void {
    this.cached += prompt_cache_hit_tokens
    this.completion += sequences.reduce((sum, { tokens }) => sum + tokens.length, 0)
  }

  toJSON() {
    return {
      prompt_tokens: this.prompt,
      completion_tokens: this.completion,
      total_tokens: this.prompt + this.completion,
      prompt_tokens_details: { cached_tokens: this.cached }
    }
  }
}

/** Text that a header may hold. */
const headerText = (text: string): string => text.replace(/[^\x20-\x7e]+/g, " ").slice(0, 500)

const headersOf = ({ ignored }: Job, warnings: ReadonlyArray<string>): { readonly [name: string]: string } => ({
  ...(ignored.length === 0 ? {} : { [OpenAi.ignoredHeader]: ignored.join(", ") }),
  ...(warnings.length === 0 ? {} : { [OpenAi.warningHeader]: headerText(warnings.join("; ")) })
})

/** What the sequences of one sample add to their choices. */
const readWhole = (job: Job, request: Sampling.SampleRequest, response: Sampling.SampleResponse) =>
  Effect.gen(function* () {
    const choices = response.sequences.map(() => new Choice(job.form, job.reader()))
    const added: Array<Added> = []
    for (const [index, { logprobs, stop_reason, tokens, topk_logprobs }] of response.sequences.entries()) {
      const delta = { type: "sample_delta" as const, index, tokens, logprobs, topk_logprobs, stop_reason }
      added.push(yield* choices[index]!.push(delta))
    }
    const pieces = added.map((one) => {
      const joined: Array<TextFormats.Piece> = []
      for (const piece of one.pieces) append(joined, piece)
      return joined
    })
    yield* job.onSampled({ request, response, pieces })
    return { added, warnings: choices.flatMap((choice) => choice.warnings) }
  })

const whole = (tinker: TinkerService.Service, job: Job) =>
  Effect.gen(function* () {
    const { form, model, samples } = job
    const admitted = yield* Effect.forEach(samples, (request) =>
      Effect.mapError(tinker.sampleWhole(request), fromRejection)
    )
    const responses = yield* Effect.forEach(admitted, Effect.mapError(fromFailure), {
      concurrency: samples.length === 1 ? 1 : "unbounded"
    })
    const usage = new Usage(samples)
    const warnings = [...job.warnings]
    const choices: Array<Added> = []
    for (const [i, response] of responses.entries()) {
      const read = yield* readWhole(job, samples[i]!, response)
      usage.add(response)
      choices.push(...read.added)
      warnings.push(...read.warnings)
    }
    const body = {
      id: form.id,
      object: form.object.whole,
      created: job.created,
      model,
      choices: choices.map((added, index) => ({
        index,
        ...form.whole([added]),
        finish_reason: added.finish_reason ?? "stop"
      })),
      usage
    }
    return HttpServerResponse.unsafeJson(body, { headers: headersOf(job, warnings) })
  })

const toEvent = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`

/** The events of a stream: `[DONE]` is the last, unless it fails. */
const events = (job: Job, steps: Stream.Stream<ReadonlyArray<Step>, OpenAiError>): Stream.Stream<string> =>
  Stream.suspend(() => {
    const { created, form, model, samples } = job
    const usage = new Usage(samples)
    const warnings = [...job.warnings]
    const head = { id: form.id, object: form.object.chunk, created, model }
    const none = job.includesUsage ? { usage: null } : {}
    const chunk = (choice: object) => toEvent({ ...head, choices: [choice], ...none })
    const count = samples.reduce((sum, { num_samples }) => sum + num_samples, 0)
    const firsts = Array.from({ length: form.first === undefined ? 0 : count }, (_, index) =>
      chunk({ index, ...form.first })
    ).join("")
    const textOf = (step: Step): string => {
      if (step._tag === "End") {
        usage.add(step.response)
        warnings.push(...step.warnings)
        return ""
      }
      const { added, calls, index } = step
      const isEmpty = added.pieces.length === 0 && added.logprobs === undefined && added.finish_reason === undefined
      return isEmpty ? "" : chunk({ index, ...form.chunk(added, calls) })
    }
    const body = Stream.filter(
      Stream.map(steps, (some) => some.map(textOf).join("")),
      (text) => text !== ""
    )
    const last = Stream.sync(() => {
      const usageEvent = job.includesUsage ? toEvent({ ...head, choices: [], usage }) : ""
      const note = warnings.length === 0 ? "" : `: warning: ${headerText(warnings.join("; "))}\n\n`
      return `${usageEvent}${note}data: [DONE]\n\n`
    })
    const start = firsts === "" ? Stream.empty : Stream.succeed(firsts)
    return Stream.concat(start, Stream.concat(body, last)).pipe(
      Stream.catchAll((error) => Stream.succeed(toEvent(toBody(error))))
    )
  })

/** @internal */
export const answer = (
  tinker: TinkerService.Service,
  job: Job
): Effect.Effect<HttpServerResponse.HttpServerResponse, OpenAiError> =>
  job.isStream
    ? Effect.map(start(tinker, job), (steps) =>
        eventStreams.toResponse({
          contentType: "text/event-stream",
          keepAlive: ": waiting\n\n",
          text: events(job, steps),
          headers: headersOf(job, job.warnings)
        })
      )
    : whole(tinker, job)
