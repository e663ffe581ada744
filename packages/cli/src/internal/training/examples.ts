/** Records as datums: rendered, cut to the longest length, and counted, before the first step. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as DataReport from "@effect-tinker/cookbook/DataReport"
import type * as Dataset from "@effect-tinker/cookbook/Dataset"
import type * as Nll from "@effect-tinker/cookbook/Nll"
import type * as Record from "@effect-tinker/cookbook/Record"
import * as Renderer from "@effect-tinker/cookbook/Renderer"
import * as SupervisedExample from "@effect-tinker/cookbook/SupervisedExample"
import * as TrainingData from "@effect-tinker/cookbook/TrainingData"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import { CliError } from "../errors/cliError.ts"
import type { Data, Records } from "./data.ts"

/** @internal */
export interface Rendering {
  readonly tokenizer: Tokenizer.Service
  /** for conversations; undefined if there are none */
  readonly renderer: Renderer.Service | undefined
  readonly trainOn: Renderer.TrainOn
  readonly maxLength: number | undefined
  readonly tooLong: SupervisedExample.TooLong
}

/** @internal */
export type Examples = Dataset.Dataset<Nll.Example, Dataset.DatasetError>

/** What there is to train on, or to measure. @internal */
export interface Prepared {
  readonly examples: Examples
  readonly counts: SupervisedExample.Counts
  readonly lengths: DataReport.Lengths
}

/** The datums of a record. Each token counts alike. */
const datumsOf = (record: Record.Record, { renderer, tokenizer, ...options }: Rendering) => {
  const isChat = record._tag === "Conversation"
  if (isChat && renderer === undefined) return Effect.fail({ message: "has messages: name a renderer with --renderer" })
  // only conversations are rendered
  return SupervisedExample.fromRecord(record, { ...options, renderer: renderer!, tokenizer, reduction: "none" })
}

/** Says which flags help. */
const withAdvice = (error: Dataset.DatasetError): Dataset.DatasetError | CliError =>
  error.cause instanceof SupervisedExample.ExampleError && error.cause.reason === "TooLong"
    ? new CliError({ title: error.message, details: "See --max-length and --too-long" })
    : error

/**
 * Renders every record once, so that what is wrong is found before the first step.
 *
 * @internal
 */
export const prepare = (
  records: Records,
  rendering: Rendering
): Effect.Effect<Prepared, Dataset.DatasetError | CliError> => {
  const { maxLength, renderer, tooLong, trainOn } = rendering
  const name = `${renderer?.name ?? "text"} ${trainOn} ${maxLength ?? "any length"} ${tooLong}`
  return TrainingData.make(records, name, (record) => datumsOf(record, rendering), { mayBeEmpty: true }).pipe(
    Effect.mapBoth({
      onFailure: withAdvice,
      onSuccess: ({ counts, datums, lengths }) => ({ examples: datums, counts, lengths })
    })
  )
}

/** The renderer that is named, or the one that fits the model; its own chat template for a model that is not known. */
const chooseRenderer = Effect.fnUntraced(function* (
  model: string,
  tokenizer: Tokenizer.Service,
  named: string | undefined
) {
  const name =
    named !== undefined
      ? yield* Renderer.choose({ model, chosen: named })
      : yield* Effect.orElseSucceed(
          Effect.map(Renderer.forModel(model), ([first]) => first),
          () => "chat_template"
        )
  return yield* Renderer.make(name, tokenizer)
})

/** Prompts for samples: messages of a user, or texts if there is no renderer, and what ends a sample. @internal */
export const promptsOf = Effect.fnUntraced(function* (
  texts: ReadonlyArray<string>,
  { renderer, tokenizer }: Pick<Rendering, "renderer" | "tokenizer">
) {
  const prompts = yield* Effect.forEach(texts, (text) =>
    renderer === undefined
      ? Effect.succeed({ text, tokens: tokenizer.encode(text) })
      : Effect.map(renderer.generationPrompt([{ role: "user", content: text }]), (input) => ({
          text,
          tokens: Array.from(ModelInput.toTokens(input))
        }))
  )
  return { prompts, stop: renderer?.stop }
})

const hasConversations = ({ summaries }: Data): boolean =>
  ["messages", "openai", "sharegpt", "alpaca"].some((format) =>
    summaries.some(({ formats }) => (formats[format] ?? 0) > 0)
  )

/** The renderer for conversations; none if there are none, and none is named. @internal */
export const rendererFor = (model: string, tokenizer: Tokenizer.Service, data: Data, named: string | undefined) =>
  hasConversations(data) || named !== undefined ? chooseRenderer(model, tokenizer, named) : Effect.succeed(undefined)
