/** What `tinker sample` and `tinker chat` share: options, the sampling client, and output that is safe for a terminal. */
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { parsePath } from "../checkpoints/path.ts"
import type { Global } from "../definition/global.ts"
import { CliError, UsageError } from "../errors/cliError.ts"
import * as connect from "../service/connect.ts"
import { clean } from "../text/clean.ts"
import * as Io from "../terminal/io.ts"
import type * as generation from "./generation.ts"

/** @internal */
export interface Options extends Global, connect.Options {
  readonly model: Option.Option<string>
  readonly checkpoint: Option.Option<string>
  readonly maxTokens: number
  readonly temperature: number
  readonly topP: number
  readonly topK: number
  readonly seed: Option.Option<number>
  readonly stop: ReadonlyArray<string>
  readonly stream: boolean
  readonly noStream: boolean
}

/** @internal */
export interface Session {
  readonly model: string
  readonly tokenizer: Tokenizer.Service
  readonly sampling: SamplingClient.SamplingClient
  /** Whether text is shown while it is generated. */
  readonly isStreaming: boolean
}

/** @internal */
export const generationOptions = (options: Options): generation.Options => ({
  maxTokens: options.maxTokens,
  temperature: options.temperature,
  topP: options.topP,
  topK: options.topK,
  seed: Option.getOrUndefined(options.seed),
  stop: options.stop
})

const samplerPath = Effect.fnUntraced(function* (checkpoint: string) {
  const path = yield* parsePath(checkpoint)
  if (path.kind !== "sampler_weights") {
    return yield* new CliError({
      title: `${checkpoint} cannot be sampled from`,
      details: "Give weights that were saved for sampling: tinker://<run id>/sampler_weights/<name>"
    })
  }
  return path
})

/** Why an option cannot be used, or undefined if all can. */
const problemOf = ({ maxTokens, temperature, topK, topP }: Options): string | undefined => {
  if (maxTokens < 1) return `--max-tokens is ${maxTokens}: give an integer above 0`
  if (!(temperature >= 0)) return `--temperature is ${temperature}: give 0 or more`
  if (!(topP > 0 && topP <= 1)) return `--top-p is ${topP}: give a number above 0, and at most 1`
  return topK === -1 || topK > 0 ? undefined : `--top-k is ${topK}: give an integer above 0, or -1 for all`
}

/** Connects to the service, and creates a sampling client. @internal */
export const open = Effect.fnUntraced(function* (options: Options) {
  const io = yield* Io.Io
  const problem = problemOf(options)
  if (problem !== undefined) return yield* new UsageError({ reason: problem })
  if (options.stream && options.noStream) {
    return yield* new UsageError({ reason: "--stream and --no-stream exclude each other" })
  }
  const path = Option.isNone(options.checkpoint) ? undefined : yield* samplerPath(options.checkpoint.value)
  const connection = yield* connect.make(options)
  const model =
    path === undefined
      ? yield* connect.baseModel(connection, options.model, options.tokenizer)
      : (yield* connection.rest.getWeightsInfo(path)).base_model
  const tokenizer = yield* connect.tokenizerOf(connection, options, model)
  const sampling = yield* connection.service.createSamplingClient(
    path === undefined ? { base_model: model } : { model_path: Option.getOrThrow(options.checkpoint) }
  )
  // a hosted service charges for the prompt of each request
  const isStreaming = options.stream || (connection.isEmbedded && io.outIsTerminal && !options.noStream)
  return { model, tokenizer, sampling, isStreaming: isStreaming && options.format === "table" } satisfies Session
})

/** Writes generated text to standard output. Control characters do not reach a terminal. @internal */
export const write = (text: string) =>
  Effect.flatMap(Io.Io, ({ out, outIsTerminal }) => out(outIsTerminal ? clean(text, { keepLines: true }) : text))
