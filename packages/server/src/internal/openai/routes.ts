/** The routes of the OpenAI protocol, beside those of the contract. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as OpenAi from "@effect-tinker/api/OpenAi"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as TextFormats from "../../TextFormats.ts"
import * as TinkerService from "../../TinkerService.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as openAiPaths from "../http/openai/paths.ts"
import * as requests from "../monitoring/requests.ts"
import type { DirectApps } from "../util/directApps.ts"
import { answer, type Job, type Sampled } from "./answer.ts"
import { chatForm, completionForm } from "./choices.ts"
import { fromRejection, invalid, OpenAiError, toResponse } from "./errors.ts"
import { schemaOf } from "./responseFormat.ts"
import * as request from "./request.ts"

/** A completion that was answered. @internal */
export interface Completion extends Sampled {
  readonly id: string
  /** of the base model */
  readonly base_model: string
  /** whose completion it is, by `TinkerServer.userOf`; `undefined` on a service without API keys */
  readonly user: string | undefined
  /** the key of its conversation, if the client gave one; users may give the same, and mean their own */
  readonly conversation: string | undefined
}

/** @internal */
export interface Options {
  readonly formats: TextFormats.Service
  /** is told each completion before its response ends */
  readonly onCompletion?: ((completion: Completion) => Effect.Effect<void>) | undefined
}

type Metadata = { readonly [key: string]: unknown } | undefined

interface Dependencies extends Options {
  readonly tinker: TinkerService.Service
  /** the user metadata of runs, by the user who may see it and the run's id */
  readonly runs: Map<string, Metadata>
}

const unknownModel = (model: string) =>
  new OpenAiError({
    status: 404,
    message: `there is no model ${JSON.stringify(model.slice(0, 200))}: give a base model, the tinker:// path of a checkpoint, or both with a semicolon between`,
    param: "model",
    code: "model_not_found"
  })

/** The base model of a request's model. */
const baseModelOf = ({ tinker }: Dependencies, model: string): Effect.Effect<string, OpenAiError> => {
  const { base_model, model_path } = request.sourceOf(model)
  const offered = tinker.capabilities.supported_models.map(({ model_name }) => model_name)
  if (base_model !== undefined && !offered.includes(base_model)) return unknownModel(model)
  if (model_path === undefined) return Effect.succeed(base_model!)
  return Effect.matchEffect(tinker.catalog.weightsInfo(model_path), {
    onFailure: (rejection) => (rejection._tag === "NotFoundResponse" ? unknownModel(model) : fromRejection(rejection)),
    onSuccess: (info) =>
      base_model === undefined || base_model === info.base_model
        ? Effect.succeed(info.base_model)
        : invalid("model", `model: ${model_path} is of base model ${info.base_model}, not of ${base_model}`)
  })
}

/** What is known of so many runs is kept. */
const mostRuns = 1024

/** The user metadata of the run that trained a model; of a run that the user may not see, none. */
const metadataOf = ({ runs, tinker }: Dependencies, model: string): Effect.Effect<Metadata> => {
  const { model_path } = request.sourceOf(model)
  const id = Option.getOrUndefined(TinkerPath.parse(model_path ?? ""))?.training_run_id
  if (id === undefined) return Effect.succeed(undefined)
  return Effect.flatMap(currentUser.CurrentUser, (user) => {
    const key = `${currentUser.ownerName(user.id)} ${id}`
    if (runs.has(key)) return Effect.succeed(runs.get(key))
    return Effect.match(tinker.catalog.getTrainingRun(id, "accessible"), {
      onFailure: () => undefined,
      onSuccess: ({ user_metadata }) => {
        if (runs.size >= mostRuns) runs.delete(runs.keys().next().value!)
        runs.set(key, user_metadata)
        return user_metadata
      }
    })
  })
}

const formatOf = (dependencies: Dependencies, baseModel: string, model: string) =>
  Effect.flatMap(metadataOf(dependencies, model), (metadata) =>
    Effect.mapError(dependencies.formats.forModel(baseModel, metadata), ({ detail }) =>
      invalid("model", `${baseModel}: ${detail}`)
    )
  )

const keyOf = ({
  headers,
  url
}: HttpServerRequest.HttpServerRequest): Effect.Effect<string | undefined, OpenAiError> => {
  const key = headers[OpenAi.conversationHeader] ?? openAiPaths.conversationOf(url)
  return key === undefined || /^[\w.:~-]{1,256}$/.test(key)
    ? Effect.succeed(key)
    : invalid(OpenAi.conversationHeader, `${OpenAi.conversationHeader}: give 1 to 256 letters, digits, or any of _.:~-`)
}

type Base = Omit<Job, "form" | "samples" | "reader" | "warnings">

const baseOf = (
  { onCompletion }: Dependencies,
  body: OpenAi.CompletionRequest | OpenAi.ChatRequest,
  base_model: string,
  received: HttpServerRequest.HttpServerRequest
): Effect.Effect<Base & { readonly id: string }, OpenAiError> =>
  Effect.gen(function* () {
    const { id } = yield* requests.RequestRecord
    const { id: user } = yield* currentUser.CurrentUser
    const conversation = yield* keyOf(received)
    return {
      id,
      model: body.model,
      created: Math.floor((yield* Clock.currentTimeMillis) / 1000),
      isStream: body.stream === true,
      includesUsage: body.stream_options?.include_usage === true,
      ignored: request.ignoredOf(body),
      onSampled: (sampled) =>
        onCompletion === undefined ? Effect.void : onCompletion({ ...sampled, id, base_model, user, conversation })
    }
  })

const decodeCompletion = request.makeDecoder(OpenAi.CompletionRequest)

const decodeChat = request.makeDecoder(OpenAi.ChatRequest)

const completions = (dependencies: Dependencies, received: HttpServerRequest.HttpServerRequest) =>
  Effect.gen(function* () {
    const body = yield* decodeCompletion(received)
    const problem = request.unsupported(body)
    if (problem !== undefined) return yield* problem
    const baseModel = yield* baseModelOf(dependencies, body.model)
    const format = yield* formatOf(dependencies, baseModel, body.model)
    const { id, ...base } = yield* baseOf(dependencies, body, baseModel, received)
    const prompts = yield* request.promptsOf(body, format.encode)
    const stop = request.stopsOf(body)
    const settings = {
      source: request.sourceOf(body.model),
      stop,
      // as the protocol says
      maxTokens: body.max_tokens ?? 16,
      topLogprobs: body.logprobs ?? 0
    }
    return yield* answer(dependencies.tinker, {
      ...base,
      form: completionForm(id, format.decode, body.logprobs),
      samples: prompts.map((prompt) => request.toSampleRequest(body, prompt, settings)),
      reader: () => format.reader(stop),
      warnings: []
    })
  })

/** The tools that are rendered, and what the client should know of them. */
const toolsOf = ({
  tool_choice: choice,
  tools = []
}: OpenAi.ChatRequest): Effect.Effect<
  { readonly tools: ReadonlyArray<TextFormats.Tool>; readonly warnings: ReadonlyArray<string> },
  OpenAiError
> => {
  if (choice === undefined || choice === "auto") return Effect.succeed({ tools, warnings: [] })
  if (choice === "none") return Effect.succeed({ tools: [], warnings: [] })
  const warnings = ["tool_choice is rendered, and not enforced: the model may answer without a call"]
  if (choice === "required") {
    return tools.length === 0
      ? invalid("tool_choice", "tool_choice: is required, but there are no tools")
      : Effect.succeed({ tools, warnings })
  }
  const named = tools.filter((tool) => tool.function.name === choice.function.name)
  return named.length === 0
    ? invalid("tool_choice.function.name", "tool_choice.function.name: there is no such tool")
    : Effect.succeed({ tools: named, warnings })
}

const chat = (dependencies: Dependencies, received: HttpServerRequest.HttpServerRequest) =>
  Effect.gen(function* () {
    const body = yield* decodeChat(received)
    const problem = request.unsupported(body)
    if (problem !== undefined) return yield* problem
    const baseModel = yield* baseModelOf(dependencies, body.model)
    const format = yield* formatOf(dependencies, baseModel, body.model)
    const { id, ...base } = yield* baseOf(dependencies, body, baseModel, received)
    const { tools, warnings } = yield* toolsOf(body)
    const jsonSchema = yield* schemaOf(body)
    const prompt = yield* Effect.mapError(format.chat.prompt(body.messages, tools), ({ message, path }) =>
      invalid(path, message)
    )
    if (ModelInput.length(prompt) === 0) return yield* invalid("messages", "messages: their prompt is empty")
    const stop = request.stopsOf(body)
    const settings = {
      source: request.sourceOf(body.model),
      stop: [...format.chat.stop, ...stop],
      maxTokens: body.max_completion_tokens ?? body.max_tokens,
      topLogprobs: body.top_logprobs ?? 0,
      jsonSchema
    }
    return yield* answer(dependencies.tinker, {
      ...base,
      form: chatForm(id, format.decode, body.logprobs === true ? (body.top_logprobs ?? 0) : undefined),
      samples: [request.toSampleRequest(body, prompt, settings)],
      // JSON has no parts that a renderer would read otherwise, such as the reasoning that some prompts begin
      reader: () => (jsonSchema === undefined ? format.chat.reader(stop) : format.reader(stop)),
      warnings
    })
  })

const toModel = (id: string) => ({ id, object: "model", created: 0, owned_by: "effect-tinker" })

const models = ({ tinker }: Dependencies): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.succeed(
    HttpServerResponse.unsafeJson({
      object: "list",
      data: tinker.capabilities.supported_models.flatMap(({ model_name }) =>
        model_name === undefined ? [] : [toModel(model_name)]
      )
    })
  )

const model = (dependencies: Dependencies, { url }: HttpServerRequest.HttpServerRequest) =>
  Effect.suspend(() => {
    const id = openAiPaths.modelOf(url)
    return Effect.as(baseModelOf(dependencies, id), HttpServerResponse.unsafeJson(toModel(id)))
  })

type Handler = (
  dependencies: Dependencies,
  request: HttpServerRequest.HttpServerRequest
) => Effect.Effect<HttpServerResponse.HttpServerResponse, OpenAiError>

/** A handler whose failures are responses. */
const respondWith = (dependencies: Dependencies, handler: Handler) => (received: HttpServerRequest.HttpServerRequest) =>
  Effect.catchAll(handler(dependencies, received), (error) => Effect.succeed(toResponse(error)))

/** Completions without the router, which costs more than what it finds. @internal */
export const directApps = (options: Options, tinker: TinkerService.Service): DirectApps => {
  const dependencies = { ...options, runs: new Map(), tinker }
  const takes = () => true
  const whole = { takes, handle: respondWith(dependencies, completions) }
  const chats = { takes, handle: respondWith(dependencies, chat) }
  return new Map(
    openAiPaths.fixedPrefixes.flatMap((prefix) => [
      [`${prefix}/completions`, whole],
      [`${prefix}/chat/completions`, chats]
    ])
  )
}

/** @internal */
export const layer = (options: Options): Layer.Layer<never, never, TinkerService.TinkerService> =>
  HttpApiBuilder.Router.use((router) =>
    Effect.gen(function* () {
      const dependencies = { ...options, runs: new Map(), tinker: yield* TinkerService.TinkerService }
      const respond = (handler: Handler): HttpApp.Default =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, respondWith(dependencies, handler))
      for (const prefix of openAiPaths.prefixes) {
        yield* router.get(`${prefix}/models`, respond(models))
        yield* router.get(`${prefix}/models/*`, respond(model))
        yield* router.post(`${prefix}/completions`, respond(completions))
        yield* router.post(`${prefix}/chat/completions`, respond(chat))
      }
    })
  )
