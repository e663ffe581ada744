/** `SampleResponse`: writing and reading the result of sampling. */
import type * as Sampling from "../../Sampling.ts"
import * as TensorData from "../../TensorData.ts"
import * as arrays from "./arrays.ts"
import * as R from "./reader.ts"
import type { EncodeProblem } from "./requestMessage.ts"
import * as tensor from "./tensor.ts"
import * as topkLogprobs from "./topk.ts"
import * as W from "./writer.ts"

/** Stop reasons by their numbers on the wire. */
const reasons = ["stop", "length"]

/** The first value that protobuf cannot represent. @internal */
export const problem = (response: Sampling.SampleResponse): EncodeProblem | undefined => {
  const hits = response.prompt_cache_hit_tokens
  if (!Number.isInteger(hits) || hits < 0 || hits > 0x7fffffff) {
    return { path: "prompt_cache_hit_tokens", reason: `is ${hits}, not in [0, 2^31)` }
  }
  const sequence = response.sequences.findIndex(({ stop_reason }) => !reasons.includes(stop_reason))
  if (sequence >= 0) {
    const found = JSON.stringify(response.sequences[sequence]!.stop_reason)
    return { path: `sequences[${sequence}].stop_reason`, reason: `is ${found}, which protobuf cannot carry` }
  }
  for (const [path, value] of [
    ["target_prompt_logprobs", response.target_prompt_logprobs],
    ["prompt_alt_tokens.tokens", response.prompt_alt_tokens?.tokens],
    ["prompt_alt_tokens.logprobs", response.prompt_alt_tokens?.logprobs]
  ] as const) {
    const reason = value === undefined ? undefined : TensorData.problem(value)
    if (reason !== undefined) return { path, reason }
  }
  return undefined
}

const sequenceSize = (sequence: Sampling.SampledSequence): number =>
  W.implicitVarintSize(reasons.indexOf(sequence.stop_reason)) +
  W.implicitSize(4 * sequence.tokens.length) +
  (sequence.logprobs === undefined ? 0 : W.bytesSize(4 * sequence.logprobs.length)) +
  (sequence.topk_logprobs === undefined ? 0 : W.bytesSize(topkLogprobs.size(sequence.topk_logprobs)))

const altTokensSize = (alt: Sampling.PromptAltTokens): number =>
  W.bytesSize(tensor.size(alt.tokens)) + W.bytesSize(tensor.size(alt.logprobs))

const size = (response: Sampling.SampleResponse): number => {
  let total = W.implicitVarintSize(response.prompt_cache_hit_tokens)
  for (const sequence of response.sequences) total += W.bytesSize(sequenceSize(sequence))
  const { prompt_alt_tokens, prompt_logprobs, target_prompt_logprobs, topk_prompt_logprobs } = response
  if (prompt_logprobs !== undefined) total += W.bytesSize(4 * prompt_logprobs.length)
  if (topk_prompt_logprobs !== undefined) total += W.bytesSize(topkLogprobs.size(topk_prompt_logprobs))
  if (target_prompt_logprobs !== undefined) total += W.bytesSize(tensor.size(target_prompt_logprobs))
  if (prompt_alt_tokens !== undefined) total += W.bytesSize(altTokensSize(prompt_alt_tokens))
  return total
}

const writeSequence = (w: W.Writer, sequence: Sampling.SampledSequence): void => {
  w.implicitVarint(1, reasons.indexOf(sequence.stop_reason))
  w.implicitContent(2, arrays.bytesOf(sequence.tokens))
  if (sequence.logprobs !== undefined) w.content(3, arrays.bytesOf(sequence.logprobs))
  if (sequence.topk_logprobs !== undefined) {
    w.open(4, topkLogprobs.size(sequence.topk_logprobs))
    topkLogprobs.write(w, sequence.topk_logprobs)
  }
}

const writeAltTokens = (w: W.Writer, { logprobs, tokens }: Sampling.PromptAltTokens): void => {
  w.open(1, tensor.size(tokens))
  tensor.write(w, tokens)
  w.open(2, tensor.size(logprobs))
  tensor.write(w, logprobs)
}

/** The bytes of a response that has no `problem`. @internal */
export const encode = (response: Sampling.SampleResponse): Uint8Array => {
  const w = new W.Writer(size(response))
  for (const sequence of response.sequences) {
    w.open(1, sequenceSize(sequence))
    writeSequence(w, sequence)
  }
  const { prompt_alt_tokens, prompt_logprobs, target_prompt_logprobs, topk_prompt_logprobs } = response
  if (prompt_logprobs !== undefined) w.content(2, arrays.bytesOf(prompt_logprobs))
  if (topk_prompt_logprobs !== undefined) {
    w.open(3, topkLogprobs.size(topk_prompt_logprobs))
    topkLogprobs.write(w, topk_prompt_logprobs)
  }
  w.implicitVarint(4, response.prompt_cache_hit_tokens)
  if (target_prompt_logprobs !== undefined) {
    w.open(5, tensor.size(target_prompt_logprobs))
    tensor.write(w, target_prompt_logprobs)
  }
  if (prompt_alt_tokens !== undefined) {
    w.open(6, altTokensSize(prompt_alt_tokens))
    writeAltTokens(w, prompt_alt_tokens)
  }
  return w.bytes
}

const nothing: Uint8Array = new Uint8Array(0)

/** Logprobs, or `undefined` for an empty field. */
const readLogprobs = (bytes: Uint8Array, what: string): Float32Array | undefined => {
  if (bytes.length % 4 !== 0) R.invalid(`${what} has ${bytes.length} bytes, not a whole number of values`)
  return bytes.length === 0 ? undefined : arrays.float32Of(bytes)
}

const readSequence = (r: R.Reader, what: string): Sampling.SampledSequence => {
  const out = { reason: 0, tokens: nothing, logprobs: nothing }
  let topk: topkLogprobs.Raw | undefined
  r.message(() => {
    if (r.field === 1 && r.wire === R.VARINT) out.reason = r.int32()
    else if (r.field === 2 && r.wire === R.LEN) out.tokens = r.content()
    else if (r.field === 3 && r.wire === R.LEN) out.logprobs = r.content()
    else if (r.field === 4 && r.wire === R.LEN) topkLogprobs.read(r, (topk ??= topkLogprobs.raw()))
    else r.skip()
  })
  if (out.tokens.length % 4 !== 0) R.invalid(`${what}.tokens has ${out.tokens.length} bytes`)
  const lp = readLogprobs(out.logprobs, `${what}.logprobs`)
  const rows = topkLogprobs.finish(topk, `${what}.topk_sampled_logprobs`)
  return {
    stop_reason: reasons[out.reason] ?? R.invalid(`${what} has an unknown stop reason ${out.reason}`),
    tokens: arrays.int32Of(out.tokens),
    ...(lp === undefined ? {} : { logprobs: lp }),
    ...(rows === undefined ? {} : { topk_logprobs: rows })
  }
}

interface RawAltTokens {
  readonly tokens: tensor.Raw
  readonly logprobs: tensor.Raw
}

const readAltTokens = (r: R.Reader, into: RawAltTokens): void =>
  r.message(() => {
    if (r.field === 1 && r.wire === R.LEN) tensor.read(r, into.tokens)
    else if (r.field === 2 && r.wire === R.LEN) tensor.read(r, into.logprobs)
    else r.skip()
  })

const finishAltTokens = ({ logprobs, tokens }: RawAltTokens): Sampling.PromptAltTokens => ({
  tokens: tensor.finish(tokens, "prompt_alt_tokens.tokens"),
  logprobs: tensor.finish(logprobs, "prompt_alt_tokens.logprobs")
})

/** @internal */
export const decode = (bytes: Uint8Array): Sampling.SampleResponse => {
  const r = new R.Reader(bytes)
  const sequences: Array<Sampling.SampledSequence> = []
  let prompt = nothing
  let hits = 0
  let topk: topkLogprobs.Raw | undefined
  let target: tensor.Raw | undefined
  let alt: RawAltTokens | undefined
  while (r.next()) {
    if (r.field === 4 && r.wire === R.VARINT) hits = r.int32()
    else if (r.wire !== R.LEN) r.skip()
    else if (r.field === 1) sequences.push(readSequence(r, `sequences[${sequences.length}]`))
    else if (r.field === 2) prompt = r.content()
    else if (r.field === 3) topkLogprobs.read(r, (topk ??= topkLogprobs.raw()))
    else if (r.field === 5) tensor.read(r, (target ??= tensor.raw()))
    else if (r.field === 6) readAltTokens(r, (alt ??= { tokens: tensor.raw(), logprobs: tensor.raw() }))
    else r.skip()
  }
  const lp = readLogprobs(prompt, "prompt_logprobs")
  const rows = topkLogprobs.finish(topk, "topk_prompt_logprobs")
  return {
    sequences,
    ...(lp === undefined ? {} : { prompt_logprobs: lp }),
    ...(rows === undefined ? {} : { topk_prompt_logprobs: rows }),
    ...(target === undefined ? {} : { target_prompt_logprobs: tensor.finish(target, "target_prompt_logprobs") }),
    ...(alt === undefined ? {} : { prompt_alt_tokens: finishAltTokens(alt) }),
    prompt_cache_hit_tokens: hits,
    type: "sample"
  }
}
