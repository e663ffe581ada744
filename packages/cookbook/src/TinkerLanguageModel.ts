/**
 * The `LanguageModel` of `@effect/ai` over any `SamplingClient`: of a base model or a checkpoint, hosted or embedded. A
 * program that fine-tunes uses what it trained by another layer. It needs `@effect/ai` 0.37, so
 * the package's index leaves it out: import it as `@effect-tinker/cookbook/TinkerLanguageModel`.
 *
 * ```ts
 * const ModelLive = TinkerLanguageModel.layer({ sampling, renderer, maxTokens: 256 })
 * const program = LanguageModel.generateText({ prompt: "Why is the sky blue?" })
 * yield* program.pipe(Effect.provide(ModelLive))
 * ```
 *
 * - Prompts, tools and their calls are rendered and parsed by the renderer of the model. A call that cannot be parsed comes
 *   back as text, with a warning in the log.
 * - `streamText` streams as `SamplingClient.stream` does.
 * - `generateObject` gives the model the JSON schema in a message of the system. A service of this project also keeps the
 *   answer to it, token by token; elsewhere, and where the schema says what cannot be enforced, an answer that does not match
 *   fails with `MalformedOutput`. A `toolChoice` says which tools are rendered; nothing forces the model to call one.
 *
 * @since 0.1.0
 */
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as AiError from "@effect/ai/AiError"
import * as IdGenerator from "@effect/ai/IdGenerator"
import * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Response from "@effect/ai/Response"
import * as Telemetry from "@effect/ai/Telemetry"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Sampling from "@effect-tinker/api/Sampling"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Delta, Service as RendererService } from "./internal/formats/model.ts"
import * as messages from "./internal/languageModel/messages.ts"
import { StreamParts, wholeParts } from "./internal/languageModel/parts.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly sampling: Pick<SamplingClient.SamplingClient, "sample" | "stream"> &
    Partial<Pick<SamplingClient.SamplingClient, "takesJsonSchemas">>
  /** the format of the model */
  readonly renderer: RendererService
  /** the name of the model, for telemetry */
  readonly model?: string | undefined
  /** the longest response in tokens; the rest of the context by default */
  readonly maxTokens?: number | undefined
  /** 1 by default; 0 is greedy */
  readonly temperature?: number | undefined
  readonly topP?: number | undefined
  readonly topK?: number | undefined
  readonly seed?: number | undefined
}

const module = "TinkerLanguageModel"

const toAiError =
  (method: string) =>
  (cause: unknown): AiError.AiError => {
    const description = cause instanceof Error ? cause.message : String(cause)
    const isInput = cause instanceof messages.UnsupportedPart || (cause as { _tag?: string })._tag === "RendererError"
    return isInput
      ? new AiError.MalformedInput({ module, method, description, cause })
      : new AiError.UnknownError({ module, method, description, cause })
  }

/** The prompt of a request. */
const render = ({ renderer }: Options, options: LanguageModel.ProviderOptions, method: string) =>
  Effect.try({
    try: () => ({ messages: messages.messagesOf(options), tools: messages.toolsOf(options) }),
    catch: (error) => error
  }).pipe(
    Effect.flatMap(({ messages, tools }) => renderer.generationPrompt(messages, tools.length === 0 ? {} : { tools })),
    Effect.mapError(toAiError(method))
  )

const params = ({ maxTokens, renderer, seed, temperature, topK, topP }: Options) => ({
  stop: renderer.stop as ReadonlyArray<number>,
  ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
  ...(temperature === undefined ? {} : { temperature }),
  ...(topP === undefined ? {} : { top_p: topP }),
  ...(topK === undefined ? {} : { top_k: topK }),
  ...(seed === undefined ? {} : { seed })
})

type Finish = Response.FinishPartEncoded

const finishOf = (
  prompt: ModelInput.ModelInput,
  response: { readonly tokens: number; readonly cached: number; readonly reason: string; readonly hasCalls: boolean }
): Finish => {
  const inputTokens = ModelInput.length(prompt)
  const ended = response.hasCalls ? "tool-calls" : "stop"
  return {
    type: "finish",
    reason: response.reason === "stop" ? ended : "length",
    usage: {
      inputTokens,
      outputTokens: response.tokens,
      totalTokens: inputTokens + response.tokens,
      cachedInputTokens: response.cached
    }
  }
}

/** The attributes `gen_ai.*` of the request and of the response. */
const annotate = (options: Options, { span }: LanguageModel.ProviderOptions, finish: Finish): void =>
  Telemetry.addGenAIAnnotations(span, {
    system: "tinker",
    operation: { name: "chat" },
    request: {
      model: options.model ?? null,
      maxTokens: options.maxTokens ?? null,
      temperature: options.temperature ?? 1,
      topP: options.topP ?? null,
      topK: options.topK ?? null
    },
    response: { model: options.model ?? null, finishReasons: [finish.reason] },
    usage: { inputTokens: finish.usage.inputTokens, outputTokens: finish.usage.outputTokens }
  })

const isCall = ({ _tag }: Delta): boolean => _tag === "ToolCall"

/** The schema that the service keeps the answer to, as text; undefined where none is wanted, or nothing keeps to it. */
const enforcedSchema = (
  { sampling }: Options,
  { responseFormat }: LanguageModel.ProviderOptions
): Effect.Effect<string | undefined> =>
  Effect.suspend(() => {
    if (responseFormat.type === "text" || sampling.takesJsonSchemas !== true) return Effect.succeed(undefined)
    const schema = JSON.stringify(messages.jsonSchemaOf(responseFormat))
    return Either.match(Sampling.enforceJsonSchema(schema, "schema"), {
      onRight: Effect.succeed,
      onLeft: ({ path, reason }) =>
        Effect.as(
          Effect.logWarning(`${path} ${reason}: the model is asked for the object, and not kept to it`),
          undefined
        )
    })
  })

const formatOf = ({ responseFormat }: LanguageModel.ProviderOptions, schema: string | undefined) =>
  responseFormat.type === "text" ? "text" : schema === undefined ? "asked JSON" : "enforced JSON"

const generateText = (options: Options, request: LanguageModel.ProviderOptions) =>
  Effect.gen(function* () {
    const toError = toAiError("generateText")
    const ids = yield* IdGenerator.IdGenerator
    const prompt = yield* render(options, request, "generateText")
    const schema = yield* enforcedSchema(options, request)
    const { prompt_cache_hit_tokens: cached, sequences } = yield* Effect.mapError(
      options.sampling.sample(prompt, {
        sampling_params: params(options),
        ...(schema === undefined ? {} : { json_schema: schema })
      }),
      toError
    )
    const { stop_reason: reason, tokens } = sequences[0]!
    const parser = options.renderer.streamingParser()
    const pushed = Array.from(tokens).flatMap((token) => parser.push(token))
    const deltas = [...pushed, ...(yield* Effect.mapError(parser.finish, toError))]
    const hasCalls = deltas.some(isCall)
    const finish = finishOf(prompt, { tokens: tokens.length, cached, reason, hasCalls })
    annotate(options, request, finish)
    const parts = yield* wholeParts(deltas, ids, formatOf(request, schema))
    return [...parts, finish]
  })

const streamText = (options: Options, request: LanguageModel.ProviderOptions) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const toError = toAiError("streamText")
      const ids = yield* IdGenerator.IdGenerator
      const prompt = yield* render(options, request, "streamText")
      const parser = options.renderer.streamingParser()
      const parts = new StreamParts(ids)
      const seen = { tokens: 0, cached: 0, reason: "stop", hasCalls: false }
      const read = (deltas: ReadonlyArray<Delta>) => {
        seen.hasCalls ||= deltas.some(isCall)
        return parts.push(deltas)
      }
      const body = Stream.mapConcatEffect(
        Stream.mapError(options.sampling.stream(prompt, { sampling_params: params(options) }), toError),
        (delta) => {
          seen.tokens += delta.tokens.length
          seen.cached = delta.prompt_cache_hit_tokens ?? seen.cached
          seen.reason = delta.stop_reason ?? seen.reason
          return read(Array.from(delta.tokens).flatMap((token) => parser.push(token)))
        }
      )
      const end = Stream.unwrap(
        Effect.gen(function* () {
          const last = yield* read(yield* Effect.mapError(parser.finish, toError))
          const finish = finishOf(prompt, seen)
          annotate(options, request, finish)
          return Stream.fromIterable<Response.StreamPartEncoded>([...last, ...parts.end(), finish])
        })
      )
      return Stream.concat(body, end)
    })
  )

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<LanguageModel.Service> =>
  LanguageModel.make({
    generateText: (request) => generateText(options, request),
    streamText: (request) => streamText(options, request)
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<LanguageModel.LanguageModel> =>
  Layer.effect(LanguageModel.LanguageModel, make(options))
