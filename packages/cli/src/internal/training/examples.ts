/** Records as datums: rendered, cut to the longest length, and counted, before the first step. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import type * as Nll from "@effect-tinker/cookbook/Nll"
import type * as Record from "@effect-tinker/cookbook/Record"
import * as Renderer from "@effect-tinker/cookbook/Renderer"
import * as SupervisedExample from "@effect-tinker/cookbook/SupervisedExample"
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
export type Examples = Dataset.Dataset<Nll.Example, Dataset.DatasetError | CliError>

/** What there is to train on, or to measure. @internal */
export interface Prepared {
  readonly examples: Examples
  readonly counts: SupervisedExample.Counts
  /** the number of tokens of each example */
  readonly lengths: ReadonlyArray<number>
}

/** Tokens with the same weight, behind tokens without weight. */
const continued = (prompt: ReadonlyArray<number>, rest: ReadonlyArray<number>) => ({
  input: ModelInput.fromTokens([...prompt, ...rest]),
  weights: new Float32Array(prompt.length + rest.length).fill(1, prompt.length)
})

const withEnd = ({ eos }: Tokenizer.Service, tokens: ReadonlyArray<number>): ReadonlyArray<number> =>
  eos === undefined ? tokens : [...tokens, eos.id]

/** The examples of a record. */
const examplesOf = (record: Record.Record, { renderer, tokenizer, trainOn }: Rendering) => {
  switch (record._tag) {
    case "Conversation":
      return renderer!.examples(record, trainOn)
    case "PromptCompletion": {
      const completion = tokenizer.encode(record.completion, { addSpecialTokens: false })
      return Effect.succeed([continued(tokenizer.encode(record.prompt), withEnd(tokenizer, completion))])
    }
    case "Text":
      return Effect.succeed([continued([], withEnd(tokenizer, tokenizer.encode(record.text)))])
    case "Preference":
      return Effect.fail({ message: "is a pair of answers, which supervised training does not take" })
  }
}

/** What became of each example of a record. */
const outcomesOf = (record: Record.Record, rendering: Rendering) =>
  Effect.flatMap(examplesOf(record, rendering), (examples) =>
    Effect.forEach(examples, (example) =>
      SupervisedExample.toDatum(example, {
        reduction: "none",
        maxLength: rendering.maxLength,
        tooLong: rendering.tooLong
      })
    )
  )

/** An error of a record, with its file and line. */
const at = (records: Records, position: number) => (error: { readonly message: string }) => {
  const { line, path, row } = records.originOf(position)
  const place = line !== undefined ? `:${line}` : row !== undefined ? `, row ${row}` : ""
  const advice = error instanceof SupervisedExample.ExampleError && error.reason === "TooLong"
  return new CliError({
    title: `${path}${place}: ${error.message}`,
    details: advice ? "See --max-length and --too-long" : undefined
  })
}

const countOf = (outcomes: ReadonlyArray<SupervisedExample.Outcome>): SupervisedExample.Counts =>
  outcomes.reduce(
    (counts, outcome) =>
      SupervisedExample.addCounts(counts, {
        datums: outcome._tag === "Datum" ? 1 : 0,
        truncated: outcome._tag === "Datum" && outcome.cut > 0 ? 1 : 0,
        skipped: outcome._tag === "Skipped" ? 1 : 0,
        untrained: outcome._tag === "Untrained" ? 1 : 0,
        emptied: outcome._tag === "Untrained" && outcome.emptied ? 1 : 0
      }),
    SupervisedExample.noCounts
  )

/**
 * Renders every record once, so that what is wrong is found before the first step, and keeps the places of those with
 * something to train. Their datums are made again when they are needed, so that a large file does not fill the memory.
 *
 * @internal
 */
export const prepare = Effect.fnUntraced(function* (records: Records, rendering: Rendering) {
  const positions: Array<number> = []
  const indices: Array<number> = []
  const lengths: Array<number> = []
  let counts = SupervisedExample.noCounts
  for (let position = 0; position < records.size; position++) {
    const record = yield* records.at(position)
    const outcomes = yield* Effect.mapError(outcomesOf(record, rendering), at(records, position))
    counts = SupervisedExample.addCounts(counts, countOf(outcomes))
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome._tag !== "Datum") continue
      positions.push(position)
      indices.push(index)
      lengths.push(outcome.datum.loss_fn_inputs.target_tokens.data.length)
    }
    if (position % 256 === 255) yield* Effect.yieldNow()
  }
  const { maxLength, renderer, tooLong, trainOn } = rendering
  const name = `${renderer?.name ?? "text"} ${trainOn} ${maxLength ?? "any length"} ${tooLong}`
  const examples: Examples = Dataset.map(Dataset.select(records, positions), name, (record, position) =>
    Effect.flatMap(Effect.mapError(outcomesOf(record, rendering), at(records, positions[position]!)), (outcomes) => {
      const outcome = outcomes[indices[position]!]
      return outcome?._tag === "Datum"
        ? Effect.succeed(outcome.datum)
        : Effect.fail(new CliError({ title: "The data has changed while it was read" }))
    })
  )
  return { examples, counts, lengths } satisfies Prepared
})

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

const hasConversations = ({ formats }: Data): boolean =>
  ["messages", "openai", "sharegpt", "alpaca"].some((format) => (formats[format] ?? 0) > 0)

/** The renderer for conversations; none if there are none, and none is named. @internal */
export const rendererFor = (model: string, tokenizer: Tokenizer.Service, data: Data, named: string | undefined) =>
  hasConversations(data) || named !== undefined ? chooseRenderer(model, tokenizer, named) : Effect.succeed(undefined)
