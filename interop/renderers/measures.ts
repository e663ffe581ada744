/** Compares what tinker-cookbook recommends and measures: learning rates, the loss per token and bits per byte. */
import * as Datum from "@effect-tinker/api/Datum"
import type * as Training from "@effect-tinker/api/Training"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Nll from "@effect-tinker/cookbook/Nll"
import * as Json from "@effect-tinker/tokenizers/Json"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { Example } from "../../packages/cookbook/test/utils/cookbookExamples.ts"
import * as vocabularies from "../../packages/cookbook/test/utils/vocabularies.ts"

/** What `measures.py` found. */
export interface Measures {
  readonly modes: ReadonlyArray<string>
  readonly examples: { readonly [key: string]: ReadonlyArray<ReadonlyArray<Example | { readonly error: string }>> }
  /** by renderer and vocabulary, of each batch the loss and the bits per byte */
  readonly losses: { readonly [key: string]: ReadonlyArray<readonly [nll: unknown, bpb: unknown]> }
  /** by model; null where none is recommended */
  readonly rates: { readonly [model: string]: unknown }
}

const batchSize = 8

const toNumber = (value: unknown): number => Json.toNumber(value) ?? Number.NaN

const difference = (actual: number, expected: number): number => Math.abs(actual - expected) / Math.abs(expected)

/** As `measures.py` computes it. */
const logprob = (datum: number, position: number): number => -((datum * 7919 + position * 104_729) % 4001) / 1000

const datumOf = ({ reduced, targets }: Example): Nll.Example => {
  const tokens = targets.map(toNumber)
  // the loss does not depend on the input
  return Datum.forLoss("cross_entropy", {
    model_input: tokens,
    loss_fn_inputs: { target_tokens: tokens, weights: reduced.map(toNumber) }
  })
}

const outputOf = (lengths: ReadonlyArray<number>, first: number): Training.ForwardBackwardOutput => ({
  loss_fn_output_type: "",
  loss_fn_outputs: lengths.map((length, i) => ({
    logprobs: { dtype: "float32", data: Float32Array.from({ length }, (_, at) => logprob(first + i, at)) }
  })),
  metrics: {}
})

const compareRates = ({ rates }: Measures) =>
  Effect.gen(function* () {
    let different = 0
    for (const [model, expected] of Object.entries(rates)) {
      const actual = yield* Effect.option(LearningRate.recommended(model))
      const isSame = actual._tag === "None" ? expected === null : difference(actual.value, toNumber(expected)) < 1e-12
      if (isSame) continue
      different++
      yield* Console.log(`  ${model}: ${actual._tag === "None" ? "none" : actual.value}, and not ${String(expected)}`)
    }
    const known = Object.values(rates).filter((rate) => rate !== null).length
    const all = Object.keys(rates).length
    yield* Console.log(`learning rates: ${all - different} of ${all} models are equal, ${all - known} have none`)
    return different === 0
  })

const compareLosses = (key: string, { examples, losses, modes }: Measures) =>
  Effect.gen(function* () {
    const tokenizer = yield* vocabularies.load(key.split(" ")[1] as vocabularies.Name)
    const special = new Set(tokenizer.specialTokens.map(({ id }) => id))
    const decoder: Nll.Decoder = { decode: (tokens) => tokenizer.decode(tokens), isSpecial: (id) => special.has(id) }
    const mode = modes.indexOf("all_assistant_messages")
    const datums = examples[key]!.flatMap((all) => {
      const example = all[mode]!
      return "error" in example || !example.reduced.some((weight) => toNumber(weight) > 0) ? [] : [datumOf(example)]
    })
    let [nll, bpb] = [0, 0]
    for (const [i, [expectedNll, expectedBpb]] of losses[key]!.entries()) {
      const batch = datums.slice(i * batchSize, (i + 1) * batchSize)
      const output = outputOf(
        batch.map(({ loss_fn_inputs }) => loss_fn_inputs.target_tokens.data.length),
        i * batchSize
      )
      nll = Math.max(nll, difference(Nll.mean(output, batch) ?? Number.NaN, toNumber(expectedNll)))
      bpb = Math.max(bpb, difference(Nll.bitsPerByte(output, batch, decoder) ?? Number.NaN, toNumber(expectedBpb)))
    }
    const [a, b] = [nll.toExponential(1), bpb.toExponential(1)]
    yield* Console.log(`${key}: ${losses[key]!.length} batches, loss to ${a}, bits per byte to ${b} relatively`)
    // the cookbook adds in single precision
    return losses[key]!.length > 0 && nll < 1e-6 && bpb < 1e-6
  })

/** Succeeds with whether all are equal. */
export const compare = (found: Measures) =>
  Effect.gen(function* () {
    let passed = yield* compareRates(found)
    for (const key of Object.keys(found.losses)) passed = (yield* compareLosses(key, found)) && passed
    return passed
  })
