/** Targets of several tokens at each position: what a teacher thinks comes next. */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as TensorData from "@effect-tinker/api/TensorData"
import type * as Nll from "../../Nll.ts"

/** The tokens and weights of one position: probabilities renormalized over the K tokens, times the weight. */
const rowOf = (
  top: ReadonlyArray<readonly [number, number]>,
  k: number,
  weight: number
): { readonly tokens: ReadonlyArray<number>; readonly weights: ReadonlyArray<number> } => {
  const entries = top.slice(0, k)
  const peak = Math.max(...entries.map(([, logprob]) => logprob))
  const shares = entries.map(([, logprob]) => Math.exp(logprob - peak))
  const total = shares.reduce((sum, share) => sum + share, 0)
  const first = entries[0]![0]
  return {
    tokens: Array.from({ length: k }, (_, i) => entries[i]?.[0] ?? first),
    weights: Array.from({ length: k }, (_, i) => (i < entries.length ? (weight * shares[i]!) / total : 0))
  }
}

/**
 * The example with a teacher's K most likely tokens as targets. `top` has an entry for each position of the teacher's
 * prompt, of which the last ones are those of the example's targets. `undefined` if one that has weight is missing.
 *
 * @internal
 */
export const withTargets = (
  example: Nll.Example,
  top: Sampling.TopkLogprobs,
  k: number,
  skip: number
): Nll.Example | undefined => {
  const { target_tokens, weights } = example.loss_fn_inputs
  const length = target_tokens.data.length
  const tokens: Array<ReadonlyArray<number>> = []
  const shares: Array<ReadonlyArray<number>> = []
  let seen = 0
  for (let i = 0; i < length; i++) {
    const weight = Number(weights.data[i])
    const isTrained = weight > 0 && seen++ >= skip
    const entry = top[top.length - length + i]
    if (isTrained && (entry === undefined || entry === null || entry.length === 0)) return undefined
    const row = isTrained
      ? rowOf(entry!, k, weight)
      : {
          tokens: Array.from({ length: k }, () => Number(target_tokens.data[i])),
          weights: Array.from({ length: k }, () => 0)
        }
    tokens.push(row.tokens)
    shares.push(row.weights)
  }
  return Datum.make({
    model_input: example.model_input,
    loss_fn_inputs: { target_tokens: TensorData.int64(tokens), weights: TensorData.float32(shares) }
  })
}

/** What the teacher reads of an example: a context, and all its tokens. @internal */
export const wholeOf = (
  { loss_fn_inputs, model_input }: Pick<Datum.For<"custom">, "loss_fn_inputs" | "model_input">,
  context: ReadonlyArray<number>
): ModelInput.ModelInput => {
  const { data } = loss_fn_inputs.target_tokens
  const last = ModelInput.text([Number(data[data.length - 1])])
  const whole = ModelInput.append(model_input, last)
  return context.length === 0 ? whole : ModelInput.make(ModelInput.text(context), ...whole.chunks)
}
