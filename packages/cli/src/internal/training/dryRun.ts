/** What `tinker train --dry-run` shows: the first examples, with what is trained, and what the run would take. */
import * as Cost from "@effect-tinker/cookbook/Cost"
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

const sum = (values: Uint32Array): number => values.reduce((a, b) => a + b, 0)

const longest = (values: Uint32Array): number => values.reduce((a, b) => Math.max(a, b), 0)

/** The tokens of all steps, from the mean length of an example. */
const tokensOfRun = ({ settings, train }: Plan): number =>
  Math.round((sum(train.lengths) / train.lengths.length) * settings.steps * settings.batchSize)

/** The numbers of a plan, which the page of a run shows too. @internal */
export const facts = (plan: Plan) => {
  const { data, model, options, renderer, settings, test, train } = plan
  const tokens = tokensOfRun(plan)
  const usd = Option.map(options.price, (price) =>
    Cost.usd({ trained: tokens }, { train: price, sample: 0, prefill: 0, cached_prefill: 0 })
  )
  return {
    base_model: model,
    renderer: renderer ?? null,
    formats: data.formats,
    examples: train.examples.size,
    held_out: test.examples.size,
    truncated: train.counts.truncated,
    skipped: train.counts.skipped,
    untrained: train.counts.untrained,
    duplicates: data.duplicates,
    overlap: data.overlap,
    longest_example: longest(train.lengths),
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
  const counts = Object.entries(found.formats).map(([format, count]) => `${count} ${format}`)
  yield* output.print(options.format, {
    json: found,
    table: {
      columns: ["Property", "Value"],
      rows: [
        ["Base Model", found.base_model],
        ["Renderer", found.renderer ?? "none: there are no conversations"],
        ["Records", counts.join(", ")],
        ["Examples", `${found.examples}, and ${found.held_out} held out`],
        ["Truncated", String(found.truncated)],
        ["Skipped", `${found.skipped} too long, ${found.untrained} with nothing to train`],
        ["Duplicates", `${found.duplicates}, and ${found.overlap} left out for a record that is held out`],
        ["Longest", `${found.longest_example} tokens`],
        ["Steps", `${found.steps} of ${found.batch_size}`],
        ["Tokens", String(found.tokens)],
        ["Cost", found.cost_usd === null ? "not known: give --price" : `$${found.cost_usd.toFixed(4)}`]
      ]
    }
  })
})
