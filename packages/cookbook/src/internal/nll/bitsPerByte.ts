/** Bits per byte of a batch, from the logprobs of a pass. */
import type * as Datum from "@effect-tinker/api/Datum"
import type * as Training from "@effect-tinker/api/Training"

/** @internal */
export interface Decoder {
  readonly decode: (tokens: ReadonlyArray<number>) => string
  /** tokens that stand for no text, such as the end of a turn */
  readonly isSpecial: (token: number) => boolean
}

type Example = Datum.For<"cross_entropy">
type Output = Training.ForwardBackwardOutput["loss_fn_outputs"][number]

interface Sums {
  readonly logprob: number
  readonly bytes: number
}

const bytesOf = (text: string): number => new TextEncoder().encode(text).length

/** The sums of one example; `undefined` if its logprobs do not fit its targets. */
const sumsOf = ({ loss_fn_inputs }: Example, output: Output, decoder: Decoder): Sums | undefined => {
  const { target_tokens, weights } = loss_fn_inputs
  const { logprobs } = output
  const length = target_tokens.data.length
  if (logprobs === undefined || logprobs.data.length !== length || weights.data.length !== length) return undefined
  let logprob = 0
  let bytes = 0
  let run: Array<number> = []
  const endRun = () => {
    if (run.length > 0) bytes += bytesOf(decoder.decode(run))
    run = []
  }
  for (let i = 0; i < length; i++) {
    const token = Number(target_tokens.data[i])
    if (Number(weights.data[i]) > 0 && !decoder.isSpecial(token)) {
      logprob += Number(logprobs.data[i])
      run.push(token)
    } else endRun()
  }
  endRun()
  return { logprob, bytes }
}

/** @internal */
export const bitsPerByte = (
  { loss_fn_outputs }: Training.ForwardBackwardOutput,
  examples: ReadonlyArray<Example>,
  decoder: Decoder
): number | undefined => {
  if (loss_fn_outputs.length !== examples.length) return undefined
  let logprob = 0
  let bytes = 0
  for (const [i, example] of examples.entries()) {
    const sums = sumsOf(example, loss_fn_outputs[i]!, decoder)
    if (sums === undefined) return undefined
    logprob += sums.logprob
    bytes += sums.bytes
  }
  const value = -logprob / (Math.LN2 * bytes)
  return bytes === 0 || !Number.isFinite(value) ? undefined : value
}
