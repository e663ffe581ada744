/** What a bigram language model samples, and how it scores a prompt. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import type { Row, Rows } from "./distribution.ts"

const mix = (value: number): number => {
  const hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  const next = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return next ^ (next >>> 16)
}

/** The seed of sequence `index` of a request: a hash, so that neighbouring seeds share no sequences. @internal */
export const streamSeed = (seed: number, index: number): number =>
  mix(mix(mix(seed | 0) + (Math.floor(seed / 2 ** 32) | 0)) + Math.imul(index + 1, 0x9e3779b1))

const generator = (seed: number) => {
  let state = seed | 0
  return (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The first token whose cumulative probability exceeds `point`. */
const findToken = (cumulative: Float64Array, point: number): number => {
  let low = 0
  let high = cumulative.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if (cumulative[middle]! > point) high = middle
    else low = middle + 1
  }
  return low
}

/** Draws one of the most likely tokens: `top_k` of them, and of these so many that their probability is `top_p`. */
const drawFromTop = ({ logprobs, ranked }: Row, params: DrawParams, random: () => number): number => {
  const top = params.top_k > 0 ? ranked.subarray(0, params.top_k) : ranked
  const probability = (token: number) => Math.exp(logprobs[token]!)
  let total = 0
  for (const token of top) total += probability(token)
  let kept = 0
  let mass = 0
  while (kept < top.length && (kept === 0 || mass / total < params.top_p)) mass += probability(top[kept++]!)
  let left = random() * mass
  for (let i = 0; i < kept; i++) {
    left -= probability(top[i]!)
    if (left < 0) return top[i]!
  }
  return top[kept - 1]!
}

type DrawParams = Pick<Sampling.SamplingParams, "temperature" | "top_k" | "top_p">

const draw = (rows: Rows, previous: number, params: DrawParams, random: () => number): number => {
  if (params.temperature === 0) return rows.after(previous).best
  const row = rows.after(previous, params.temperature)
  if (params.top_k > 0 || params.top_p < 1) return drawFromTop(row, params, random)
  const { cumulative } = row
  return findToken(cumulative, random() * cumulative[cumulative.length - 1]!)
}

/** The text of tokens: one character each. */
const textOf = (tokens: ReadonlyArray<number>): string => String.fromCodePoint(...tokens)

/** Whether the last token ends the sequence. */
const isStopped = (tokens: ReadonlyArray<number>, stop: Sampling.SamplingParams["stop"]): boolean => {
  if (stop === undefined) return false
  const stops: ReadonlyArray<string | number> = typeof stop === "string" ? [stop] : stop
  return stops.some((s) =>
    typeof s === "number" ? tokens[tokens.length - 1] === s : textOf(tokens.slice(-s.length)).includes(s)
  )
}

/** Samples one sequence. @internal */
export const sample = (
  rows: Rows,
  prompt: Int32Array,
  params: Sampling.SamplingParams,
  maxTokens: number,
  seed: number,
  topCount: number
): Sampling.SampledSequence => {
  const random = generator(seed)
  const tokens: Array<number> = []
  const logprobs: Array<number> = []
  const topk: Array<ReadonlyArray<readonly [number, number]>> = []
  let previous = prompt[prompt.length - 1]!
  let stopped = false
  while (!stopped && tokens.length < maxTokens) {
    const next = draw(rows, previous, params, random)
    const row = rows.after(previous)
    logprobs.push(row.logprobs[next]!)
    if (topCount > 0) topk.push(topTokens(row, topCount))
    tokens.push(next)
    previous = next
    stopped = isStopped(tokens, params.stop)
  }
  return {
    stop_reason: stopped ? "stop" : "length",
    tokens: Int32Array.from(tokens),
    logprobs: Float32Array.from(logprobs),
    ...(topCount > 0 ? { topk_logprobs: topk } : {})
  }
}

const topTokens = ({ logprobs, ranked }: Row, k: number): ReadonlyArray<readonly [number, number]> =>
  Array.from(ranked.subarray(0, k), (token) => [token, logprobs[token]!] as const)

/** The logprobs of the last `lastN` tokens of the prompt; `NaN` for the others and the first. @internal */
export const promptLogprobs = (rows: Rows, prompt: Int32Array, lastN: number): Float32Array =>
  prompt.reduce((logprobs, token, i) => {
    if (i >= Math.max(1, prompt.length - lastN)) logprobs[i] = rows.after(prompt[i - 1]!).logprobs[token]!
    return logprobs
  }, new Float32Array(prompt.length).fill(Number.NaN))

/** The `k` most likely tokens in place of each of the last `lastN` tokens of the prompt. @internal */
export const promptTopTokens = (
  rows: Rows,
  prompt: Int32Array,
  k: number,
  lastN: number
): ReadonlyArray<ReadonlyArray<readonly [number, number]> | null> =>
  Array.from(prompt, (_, i) =>
    i < Math.max(1, prompt.length - lastN) ? null : topTokens(rows.after(prompt[i - 1]!), k)
  )

/** The logprob of a token at a position of the prompt from 1 on. @internal */
export const logprobAt = (rows: Rows, prompt: Int32Array, position: number, token: number): number =>
  rows.after(prompt[position - 1]!).logprobs[token]!

/** `k` tokens drawn at each position of the prompt but the first. @internal */
export const alternatives = (
  rows: Rows,
  prompt: Int32Array,
  k: number,
  temperature: number,
  seed: number
): Sampling.PromptAltTokens => {
  const shape = [prompt.length - 1, k]
  const tokens = new Int32Array(shape[0]! * k)
  const logprobs = new Float32Array(tokens.length)
  // numbers of sequences are not below 0, so that no sequence has the same stream
  const random = generator(streamSeed(seed, -2))
  for (let i = 0; i < tokens.length; i++) {
    const previous = prompt[Math.floor(i / k)]!
    tokens[i] = draw(rows, previous, { temperature, top_k: -1, top_p: 1 }, random)
    logprobs[i] = rows.after(previous).logprobs[tokens[i]!]!
  }
  return { tokens: { dtype: "int64", data: tokens, shape }, logprobs: { dtype: "float32", data: logprobs, shape } }
}
