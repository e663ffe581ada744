/** What `tinker train --dry-run` shows: the first examples, with what is trained, and what the run would take. */
import * as Cost from "@effect-tinker/cookbook/Cost"
import * as DataReport from "@effect-tinker/cookbook/DataReport"
import type * as Nll from "@effect-tinker/cookbook/Nll"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { clean } from "../text/clean.ts"
import * as Io from "../terminal/io.ts"
import * as output from "../terminal/output.ts"
import type { Data } from "./data.ts"
import type { Prepared } from "./examples.ts"
import type * as trainOptions from "./options.ts"

/** What the run would be. @internal */
export interface Plan {
  readonly options: trainOptions.Options
  readonly model: string
  readonly renderer: string | undefined
  readonly tokenizer: Tokenizer.Service
  readonly data: Data
  readonly train: Prepared
  readonly test: Prepared
  readonly settings: trainOptions.Settings
}

/** The number of examples to show. */
const shown = 3
/** The longest text of one, in tokens. */
const shownTokens = 400

/** The text of an example in runs that are trained, or are not. */
const runsOf = ({ loss_fn_inputs: { target_tokens, weights } }: Nll.Example, first: number | undefined) => {
  const runs: Array<{ readonly trained: boolean; readonly tokens: Array<number> }> = []
  if (first !== undefined) runs.push({ trained: false, tokens: [first] })
  for (let i = 0; i < target_tokens.data.length && i < shownTokens; i++) {
    const trained = Number(weights.data[i]) > 0
    const last = runs.at(-1)
    if (last?.trained === trained) last.tokens.push(Number(target_tokens.data[i]))
    else runs.push({ trained, tokens: [Number(target_tokens.data[i])] })
  }
  return { runs, isCut: target_tokens.data.length > shownTokens }
}

const firstToken = ({ model_input: { chunks } }: Nll.Example): number | undefined => {
  const [chunk] = chunks
  return chunk?.type === "encoded_text" ? chunk.tokens[0] : undefined
}

/** Trained text in green on a terminal with colours, and elsewhere between ⟦ and ⟧. */
const mark = (text: string, trained: boolean, color: boolean): string =>
  !trained ? text : color ? `\u001b[32m${text}\u001b[0m` : `⟦${text}⟧`

const describe = (example: Nll.Example, tokenizer: Tokenizer.Service, color: boolean): string => {
  const { isCut, runs } = runsOf(example, firstToken(example))
  const text = runs.map(({ tokens, trained }) =>
    mark(clean(tokenizer.decode(tokens), { keepLines: true }), trained, color)
  )
  return `${text.join("")}${isCut ? "…" : ""}`
}

/** The tokens of all steps, from the mean length of an example. */
const tokensOfRun = ({ settings, train: { lengths } }: Plan): number =>
  Math.round((lengths.tokens / lengths.datums) * settings.steps * settings.batchSize)

/** What is known of the data, which the page of a run shows too. @internal */
export const reportOf = ({ data, test, train }: Pick<Plan, "data" | "test" | "train">): DataReport.DataReport =>
  DataReport.make({
    files: data.summaries,
    training: data.train.size,
    heldOut: test.examples.size,
    overlap: data.overlap,
    examples: train.counts,
    lengths: train.lengths
  })

const facts = (plan: Plan) => {
  const { model, options, renderer, settings } = plan
  const tokens = tokensOfRun(plan)
  const usd = Option.map(options.price, (price) =>
    Cost.usd({ trained: tokens }, { train: price, sample: 0, prefill: 0, cached_prefill: 0 })
  )
  return {
    base_model: model,
    renderer: renderer ?? null,
    data: reportOf(plan),
    steps: settings.steps,
    batch_size: settings.batchSize,
    tokens,
    cost_usd: Option.getOrNull(usd)
  }
}

/** Prints a plan. @internal */
export const print = Effect.fnUntraced(function* (plan: Plan) {
  const { options, tokenizer, train } = plan
  const io = yield* Io.Io
  const found = facts(plan)
  if (options.format === "table") {
    for (let i = 0; i < Math.min(shown, train.examples.size); i++) {
      const text = describe(yield* train.examples.at(i), tokenizer, io.color)
      yield* io.out(`── example ${i + 1}\n${text}\n\n`)
    }
  }
  yield* output.print(options.format, {
    json: found,
    table: {
      columns: ["Property", "Value"],
      rows: [
        ["Base Model", found.base_model],
        ["Renderer", found.renderer ?? "none: there are no conversations"],
        ...DataReport.rows(found.data),
        ["Steps", `${found.steps} of ${found.batch_size}`],
        ["Tokens of all steps", String(found.tokens)],
        ["Cost", found.cost_usd === null ? "not known: give --price" : `$${found.cost_usd.toFixed(4)}`]
      ]
    }
  })
})
