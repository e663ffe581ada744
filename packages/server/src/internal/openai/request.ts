/** Reads requests of the OpenAI protocol, and turns them into requests of samples. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as OpenAi from "@effect-tinker/api/OpenAi"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { firstIssue } from "../effect/parseError.ts"
import { FieldError } from "../http/body/fields.ts"
import { invalid, type OpenAiError } from "./errors.ts"

/** A decoder of bodies, whose fields must all be known. @internal */
export const makeDecoder = <A, I>(
  schema: Schema.Schema<A, I>
): ((request: HttpServerRequest.HttpServerRequest) => Effect.Effect<A, OpenAiError>) => {
  const decode = Schema.decodeUnknownEither(schema, { onExcessProperty: "error" })
  return (request) =>
    request.json.pipe(
      Effect.mapError(({ cause }) =>
        cause instanceof FieldError
          ? invalid(undefined, cause.message)
          : invalid(undefined, "the body is not JSON", "invalid_json")
      ),
      Effect.flatMap((body) => {
        const decoded = decode(body)
        if (Either.isRight(decoded)) return Effect.succeed(decoded.right)
        const { isUnknownField, message, path } = firstIssue(decoded.left)
        return isUnknownField
          ? invalid(path, `${path}: this service does not know the parameter`, "unknown_parameter")
          : invalid(path === "" ? undefined : path, `${path === "" ? "the body" : path}: ${message.slice(0, 500)}`)
      })
    )
}

type Request = OpenAi.CompletionRequest | OpenAi.ChatRequest

const isEmpty = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.keys(value).length === 0

/** What would change the samples, and cannot. @internal */
export const unsupported = (request: Request): OpenAiError | undefined => {
  const refuse = (param: string) =>
    invalid(param, `${param}: this service does not support it`, "unsupported_parameter")
  if (request.presence_penalty) return refuse("presence_penalty")
  if (request.frequency_penalty) return refuse("frequency_penalty")
  if (request.logit_bias !== undefined && !isEmpty(request.logit_bias)) return refuse("logit_bias")
  if ("prompt" in request) {
    if (request.echo === true) return refuse("echo")
    if (request.suffix) return refuse("suffix")
    return request.best_of !== undefined && request.best_of !== (request.n ?? 1) ? refuse("best_of") : undefined
  }
  if (request.top_logprobs !== undefined && request.logprobs !== true) {
    return invalid("top_logprobs", "top_logprobs: needs logprobs: true")
  }
  return undefined
}

/** The fields that change nothing. @internal */
export const ignoredOf = (request: Request): ReadonlyArray<string> =>
  OpenAi.ignored.filter((name) => (request as unknown as Record<string, unknown>)[name] !== undefined)

/** The texts at which the client wants a choice to end. @internal */
export const stopsOf = ({ stop }: Request): ReadonlyArray<string> =>
  (typeof stop === "string" ? [stop] : (stop ?? [])).filter((text) => text !== "")

/** What a model of a request names. @internal */
export interface Source {
  readonly base_model?: string
  readonly model_path?: string
}

const scheme = "tinker://"

/** A base model, a path of a checkpoint, or both with a semicolon between. @internal */
export const sourceOf = (model: string): Source => {
  if (model.startsWith(scheme)) return { model_path: model }
  const at = model.indexOf(`;${scheme}`)
  return at < 0 ? { base_model: model } : { base_model: model.slice(0, at), model_path: model.slice(at + 1) }
}

/** The options of a sample besides its prompt. @internal */
export interface SampleSettings {
  readonly source: Source
  /** token ids and texts; the service's type has lists of one kind, and its engines take both */
  readonly stop: ReadonlyArray<number | string>
  readonly maxTokens: number | undefined
  readonly topLogprobs: number
  /** what each choice must be */
  readonly jsonSchema?: string | undefined
}

/** @internal */
export const toSampleRequest = (
  request: Request,
  prompt: ModelInput.ModelInput,
  { jsonSchema, maxTokens, source, stop, topLogprobs }: SampleSettings
): Sampling.SampleRequest => ({
  ...source,
  prompt,
  num_samples: request.n ?? 1,
  sampling_params: {
    temperature: request.temperature ?? 1,
    top_p: request.top_p ?? 1,
    top_k: request.top_k ?? -1,
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    ...(request.seed === undefined ? {} : { seed: request.seed }),
    // without it, the engine ends at the end of the text
    ...(stop.length === 0 ? {} : { stop: stop as ReadonlyArray<string> })
  },
  prompt_logprobs: false,
  topk_prompt_logprobs: 0,
  ...(topLogprobs > 0 ? { topk_sample_logprobs: topLogprobs } : {}),
  ...(jsonSchema === undefined ? {} : { json_schema: jsonSchema }),
  type: "sample"
})

/** The prompts of a completion: text or token ids, one or several. @internal */
export const promptsOf = (
  { prompt }: OpenAi.CompletionRequest,
  encode: (text: string) => ReadonlyArray<number>
): Effect.Effect<ReadonlyArray<ModelInput.ModelInput>, OpenAiError> => {
  const isIds = (value: unknown): value is ReadonlyArray<number> => Array.isArray(value) && typeof value[0] === "number"
  const all =
    typeof prompt === "string" || isIds(prompt) ? [prompt] : (prompt as ReadonlyArray<string | ReadonlyArray<number>>)
  const inputs = all.map((one) => ModelInput.fromTokens(typeof one === "string" ? encode(one) : one))
  const empty = inputs.findIndex((input) => ModelInput.length(input) === 0)
  if (empty < 0) return Effect.succeed(inputs)
  const path = all.length === 1 ? "prompt" : `prompt[${empty}]`
  return invalid(path, `${path}: is empty; give it one token or more`)
}
