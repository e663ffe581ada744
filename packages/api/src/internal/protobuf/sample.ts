/** `SampleResponse`: what sampling answers with. */
import type * as Sampling from "../../Sampling.ts"
import * as TensorData from "../../TensorData.ts"
import * as arrays from "./arrays.ts"
import * as R from "./reader.ts"
import type { Refusal } from "./request.ts"
import * as tensor from "./tensor.ts"
import * as W from "./writer.ts"

const reasons = ["stop", "length"]

/** @internal */
export const refusal = (response: Sampling.SampleResponse): Refusal | undefined => {
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
  (sequence.topk_logprobs === undefined ? 0 : W.bytesSize(tensor.topkSize(sequence.topk_logprobs)))

const altSize = (alt: Sampling.PromptAltTokens): number =>
  W.bytesSize(tensor.size(alt.tokens)) + W.bytesSize(tensor.size(alt.logprobs))

const size = (response: Sampling.SampleResponse): number => {
  let total = W.implicitVarintSize(response.prompt_cache_hit_tokens)
  for (const sequence of response.sequences) total += W.bytesSize(sequenceSize(sequence))
  const { prompt_alt_tokens, prompt_logprobs, target_prompt_logprobs, topk_prompt_logprobs } = response
  if (prompt_logprobs !== undefined) total += W.bytesSize(4 * prompt_logprobs.length)
  if (topk_prompt_logprobs !== undefined) total += W.bytesSize(tensor.topkSize(topk_prompt_logprobs))
  if (target_prompt_logprobs !== undefined) total += W.bytesSize(tensor.size(target_prompt_logprobs))
  if (prompt_alt_tokens !== undefined) total += W.bytesSize(altSize(prompt_alt_tokens))
  return total
}

/** The bytes of a response that `refusal` has nothing against. @internal */
export const encode = (response: Sampling.SampleResponse): Uint8Array => {
  const w = new W.Writer(size(response))
  for (const sequence of response.sequences) {
    w.open(1, sequenceSize(sequence))
    w.implicitVarint(1, reasons.indexOf(sequence.stop_reason))
    w.implicitContent(2, arrays.bytesOf(sequence.tokens))
    if (sequence.logprobs !== undefined) w.content(3, arrays.bytesOf(sequence.logprobs))
    if (sequence.topk_logprobs !== undefined) {
      w.open(4, tensor.topkSize(sequence.topk_logprobs))
      tensor.writeTopk(w, sequence.topk_logprobs)
    }
  }
  const { prompt_alt_tokens, prompt_logprobs, target_prompt_logprobs, topk_prompt_logprobs } = response
  if (prompt_logprobs !== undefined) w.content(2, arrays.bytesOf(prompt_logprobs))
  if (topk_prompt_logprobs !== undefined) {
    w.open(3, tensor.topkSize(topk_prompt_logprobs))
    tensor.writeTopk(w, topk_prompt_logprobs)
  }
  w.implicitVarint(4, response.prompt_cache_hit_tokens)
  if (target_prompt_logprobs !== undefined) {
    w.open(5, tensor.size(target_prompt_logprobs))
    tensor.write(w, target_prompt_logprobs)
  }
  if (prompt_alt_tokens !== undefined) {
    w.open(6, altSize(prompt_alt_tokens))
    w.open(1, tensor.size(prompt_alt_tokens.tokens))
    tensor.write(w, prompt_alt_tokens.tokens)
    w.open(2, tensor.size(prompt_alt_tokens.logprobs))
    tensor.write(w, prompt_alt_tokens.logprobs)
  }
  return w.bytes
}

const nothing: Uint8Array = new Uint8Array(0)

/** Logprobs; none at all when there are no bytes. */
const logprobs = (bytes: Uint8Array, what: string): Float32Array | undefined => {
  if (bytes.length % 4 !== 0) R.wrong(`${what} has ${bytes.length} bytes, not a whole number of values`)
  return bytes.length === 0 ? undefined : arrays.float32Of(bytes)
}

const readSequence = (r: R.Reader, what: string): Sampling.SampledSequence => {
  const out = { reason: 0, tokens: nothing, logprobs: nothing }
  let topk: tensor.RawTopk | undefined
  r.message(() => {
    if (r.field === 1 && r.wire === R.VARINT) out.reason = r.int32()
    else if (r.field === 2 && r.wire === R.LEN) out.tokens = r.content()
    else if (r.field === 3 && r.wire === R.LEN) out.logprobs = r.content()
    else if (r.field === 4 && r.wire === R.LEN) tensor.readTopk(r, (topk ??= tensor.rawTopk()))
    else r.skip()
  })
  if (out.tokens.length % 4 !== 0) R.wrong(`${what}.tokens has ${out.tokens.length} bytes`)
  const lp = logprobs(out.logprobs, `${what}.logprobs`)
  const rows = tensor.finishTopk(topk, `${what}.topk_sampled_logprobs`)
  return {
    stop_reason: reasons[out.reason] ?? R.wrong(`${what} has an unknown stop reason ${out.reason}`),
    tokens: arrays.int32Of(out.tokens),
    ...(lp === undefined ? {} : { logprobs: lp }),
    ...(rows === undefined ? {} : { topk_logprobs: rows })
  }
}

/** @internal */
export const decode = (bytes: Uint8Array): Sampling.SampleResponse => {
  const r = new R.Reader(bytes)
  const sequences: Array<Sampling.SampledSequence> = []
  let prompt = nothing
  let hits = 0
  let topk: tensor.RawTopk | undefined
  let target: tensor.Raw | undefined
  let alt: { tokens: tensor.Raw; logprobs: tensor.Raw } | undefined
  while (r.next()) {
    if (r.field === 4 && r.wire === R.VARINT) hits = r.int32()
    else if (r.wire !== R.LEN) r.skip()
    else if (r.field === 1) sequences.push(readSequence(r, `sequences[${sequences.length}]`))
    else if (r.field === 2) prompt = r.content()
    else if (r.field === 3) tensor.readTopk(r, (topk ??= tensor.rawTopk()))
    else if (r.field === 5) tensor.read(r, (target ??= tensor.raw()))
    else if (r.field === 6) {
      const into = (alt ??= { tokens: tensor.raw(), logprobs: tensor.raw() })
      r.message(() => {
        if (r.field === 1 && r.wire === R.LEN) tensor.read(r, into.tokens)
        else if (r.field === 2 && r.wire === R.LEN) tensor.read(r, into.logprobs)
        else r.skip()
      })
    } else r.skip()
  }
  const lp = logprobs(prompt, "prompt_logprobs")
  const rows = tensor.finishTopk(topk, "topk_prompt_logprobs")
  return {
    sequences,
    ...(lp === undefined ? {} : { prompt_logprobs: lp }),
    ...(rows === undefined ? {} : { topk_prompt_logprobs: rows }),
    ...(target === undefined ? {} : { target_prompt_logprobs: tensor.finish(target, "target_prompt_logprobs") }),
    ...(alt === undefined
      ? {}
      : {
          prompt_alt_tokens: {
            tokens: tensor.finish(alt.tokens, "prompt_alt_tokens.tokens"),
            logprobs: tensor.finish(alt.logprobs, "prompt_alt_tokens.logprobs")
          }
        }),
    prompt_cache_hit_tokens: hits,
    type: "sample"
  }
}
