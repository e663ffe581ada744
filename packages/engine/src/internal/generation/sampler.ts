import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as baseModel from "../model/loaded.ts"
import * as cache from "../model/kvCache.ts"
import * as decoder from "../model/transformer.ts"
import * as distribution from "./distribution.ts"
import { userError } from "../util/errors.ts"
import type { Data, Stored } from "../executors/executor.ts"
import * as packing from "../training/packing.ts"
import * as random from "../util/random.ts"

type Weights = { readonly [name: string]: Stored }

const smallestPrompt = 16
const smallestCache = 64
const mostRows = 64

/** Rows come in few sizes, as each is compiled. */
const rowsFor = (count: number): number => [1, 4, 8, 16, 32].find((rows) => count <= rows) ?? mostRows

interface Sequence {
  readonly key: number
  readonly tokens: Array<number>
  readonly logprobs: Array<number>
  stop_reason: "stop" | "length"
}

/** Says whether a sequence ends with its last token. */
type IsEnd = (tokens: ReadonlyArray<number>) => boolean

/**
 * Without `stop` the tokens that end a text end a sequence. `stop` adds to these; an empty one takes them away.
 */
const endOf = (
  base: baseModel.BaseModel,
  stop: Sampling.SamplingParams["stop"]
): Effect.Effect<IsEnd, Engine.EngineError> =>
  Effect.suspend(() => {
    const listed: ReadonlyArray<string | number> = typeof stop === "string" ? [stop] : (stop ?? [])
    const strings = listed.filter((item) => typeof item === "string")
    const empty = stop !== undefined && listed.length === 0
    const tokens = new Set(listed.filter((item) => typeof item === "number"))
    if (!empty) for (const token of base.directory.eos_token_ids) tokens.add(token)
    const endsWithToken: IsEnd = (all) => tokens.has(all[all.length - 1]!)
    if (strings.length === 0) return Effect.succeed(endsWithToken)
    if (strings.includes("")) return userError("stop has an empty string: give the text at which to stop")
    const { decode } = base.directory
    if (decode === undefined) {
      return userError(`${base.name} has no tokenizer.json, so stop strings cannot be looked for: give token ids`)
    }
    // a token has a byte or more, and a character at most four
    const window = 4 * Math.max(...strings.map((string) => string.length)) + 4
    return Effect.succeed((all) => {
      if (endsWithToken(all)) return true
      const text = decode(all.slice(-window))
      return strings.some((string) => text.includes(string))
    })
  })

interface Read {
  readonly length: number
  /** of the last position, or of all */
  readonly logits: Float32Array
  /** keys and values (positions, KV, HD) of each layer */
  readonly kept: ReadonlyArray<Float32Array>
}

const readPrompt = (
  base: baseModel.BaseModel,
  weights: Weights,
  prompt: Int32Array,
  all: boolean
): Effect.Effect<Read, Engine.EngineError> =>
  Effect.gen(function* () {
    const length = packing.bucket(prompt.length, smallestPrompt)
    const executable = yield* base.executor.compile(decoder.prefill(base.config, length, all))
    const positions = Int32Array.from({ length }, (_, i) => (i < prompt.length ? i : 0))
    const places = [{ item: 0, row: 0, column: 0 }]
    const last = new Float32Array(length)
    last[prompt.length - 1] = 1
    const [logits, ...kept] = yield* executable.run({
      ...weights,
      x: baseModel.embed(
        base,
        length,
        Array.from(prompt, (token, i) => [i, token] as const)
      ),
      ...baseModel.rotations(base, positions),
      mask: packing.mask({ rows: 1, length, places }, [prompt.length]),
      ...(all ? {} : { last })
    })
    return { length, logits: logits!, kept }
  })

const rowOf = (base: baseModel.BaseModel, logits: Float32Array, row: number): Float32Array =>
  logits.subarray(row * base.config.vocab_size, (row + 1) * base.config.vocab_size)

interface Plan {
  readonly maxTokens: number
  readonly choice: distribution.Choice
  readonly isEnd: IsEnd
  readonly weights: Float64Array<ArrayBuffer>
}

/** Chooses a sequence's next token, and says whether the sequence goes on. */
const extend = (sequence: Sequence, logits: Float32Array, plan: Plan): boolean => {
  const { logprob, token } = distribution.draw(logits, plan.choice, sequence.key, sequence.tokens.length, plan.weights)
  sequence.tokens.push(token)
  sequence.logprobs.push(logprob)
  if (plan.isEnd(sequence.tokens)) {
    sequence.stop_reason = "stop"
    return false
  }
  return sequence.tokens.length < plan.maxTokens
}

/** Extends sequences, at most `mostRows`, that all follow the same prompt, until each has ended. */
const generate = (
  base: baseModel.BaseModel,
  weights: Weights,
  prompt: Int32Array,
  read: Read,
  lastLogits: Float32Array,
  sequences: ReadonlyArray<Sequence>,
  plan: Plan
): Effect.Effect<void, Engine.EngineError> =>
  Effect.gen(function* () {
    const model = base.config
    let active = sequences.filter((sequence) => extend(sequence, lastLogits, plan))
    if (active.length === 0) return
    let length = prompt.length
    const first = cache.make(model, 1, length)
    cache.write(model, first, 0, 0, read.kept, 0, length)
    let kept = cache.select(
      model,
      first,
      active.map(() => 0),
      length,
      base.caches.take(model, rowsFor(active.length), packing.bucket(length + 1, smallestCache))
    )
    const { head_dim: width, num_kv_heads: heads, num_layers: layers, vocab_size: vocabulary } = model
    /** What reads tokens after a cache: arrays that stay while its rows and capacity do, and are written over. */
    const reader = (kept: cache.Cache) =>
      Effect.map(base.executor.compile(decoder.decode(model, kept.rows, kept.capacity)), ({ run }) => {
        const mask = new Float32Array(kept.capacity).fill(packing.hidden)
        mask.fill(0, 0, length)
        const inputs: Record<string, Data | Stored> = { ...weights, mask }
        kept.keys.forEach((data, layer) => (inputs[`keys.${layer}`] = data))
        kept.values.forEach((data, layer) => (inputs[`values.${layer}`] = data))
        const x = (inputs["x"] = new Float32Array(kept.rows * model.hidden_size))
        const logits = new Float32Array(kept.rows * vocabulary)
        const fresh = Array.from({ length: 2 * layers }, () => new Float32Array(kept.rows * heads * width))
        return { run, mask, inputs, x, logits, fresh, outputs: [logits, ...fresh] }
      })
    let reading = yield* reader(kept)
    while (active.length > 0) {
      const { capacity, rows } = kept
      const { fresh, inputs, logits, mask, outputs, run, x } = reading
      const last = active.map(({ tokens }, row) => [row, tokens[tokens.length - 1]!] as const)
      baseModel.embed(base, rows, last, x)
      yield* run(Object.assign(inputs, baseModel.rotations(base, [length])), outputs)
      for (let row = 0; row < active.length; row++) cache.write(model, kept, row, length, fresh, row, 1)
      mask[length] = 0
      length += 1
      const left: Array<number> = []
      for (let row = 0; row < active.length; row++) {
        if (extend(active[row]!, rowOf(base, logits, row), plan)) left.push(row)
      }
      const larger = length === capacity ? capacity * 2 : capacity
      if (left.length > 0 && (left.length < active.length || larger > capacity)) {
        const next = base.caches.take(model, rowsFor(left.length), larger)
        cache.select(model, kept, left, length, next)
        base.caches.give(kept)
        kept = next
        reading = yield* reader(kept)
      }
      active = left.map((row) => active[row]!)
    }
    base.caches.give(kept)
  })

const checkPrompt = (base: baseModel.BaseModel, options: Engine.SampleOptions) =>
  Effect.gen(function* () {
    const { prompt, sampling_params: params } = options
    if (!ModelInput.isText(prompt)) return yield* userError("the prompt has chunks that are not text")
    const tokens = ModelInput.toTokens(prompt)
    if (tokens.length === 0) return yield* userError("the prompt is empty: give it one token or more")
    const vocabulary = base.config.vocab_size
    const bad = tokens.findIndex((token) => token < 0 || token >= vocabulary)
    if (bad >= 0) {
      return yield* userError(
        `the prompt's token ${bad} is ${tokens[bad]}, but the vocabulary of ${base.name} has ${vocabulary} tokens`
      )
    }
    yield* baseModel.checkLength(base, tokens.length, "the prompt")
    const context = base.config.max_context_length
    const maxTokens = params.max_tokens ?? context - tokens.length
    if (maxTokens < 1 || tokens.length + maxTokens > context) {
      return yield* userError(
        `the prompt has ${tokens.length} tokens, so that ${Math.max(1, maxTokens)} more exceed the context of ` +
          `${base.name}, which has ${context}: shorten the prompt or lower max_tokens`
      )
    }
    return { tokens, maxTokens }
  })

/** Samples by one request. @internal */
export const sample = (
  base: baseModel.BaseModel,
  weights: Weights,
  options: Engine.SampleOptions
): Effect.Effect<Sampling.SampleResponse, Engine.EngineError> =>
  Effect.gen(function* () {
    const { num_samples, prompt_logprobs, sampling_params: params, topk_prompt_logprobs } = options
    const { maxTokens, tokens: prompt } = yield* checkPrompt(base, options)
    const isEnd = yield* endOf(base, params.stop)
    const seed = params.seed ?? (yield* Random.nextIntBetween(0, 2 ** 31))
    const plan: Plan = {
      maxTokens,
      choice: { temperature: params.temperature, topK: params.top_k, topP: params.top_p },
      isEnd,
      weights: new Float64Array(base.config.vocab_size)
    }
    const all = prompt_logprobs || topk_prompt_logprobs > 0
    const read = yield* readPrompt(base, weights, prompt, all)
    const sequences = Array.from({ length: num_samples }, (_, i): Sequence => ({
      key: random.key(seed + i, "sample"),
      tokens: [],
      logprobs: [],
      stop_reason: "length"
    }))
    const lastLogits = all ? rowOf(base, read.logits, prompt.length - 1) : read.logits
    for (let i = 0; i < sequences.length; i += mostRows) {
      yield* generate(base, weights, prompt, read, lastLogits, sequences.slice(i, i + mostRows), plan)
    }
    const scored = new Float32Array(prompt.length).fill(Number.NaN)
    const top: Array<ReadonlyArray<readonly [number, number]> | null> = [null]
    for (let i = 1; all && i < prompt.length; i++) {
      const logprobs = distribution.logprobs(rowOf(base, read.logits, i - 1))
      scored[i] = logprobs[prompt[i]!]!
      if (topk_prompt_logprobs > 0) top.push(distribution.top(logprobs, topk_prompt_logprobs))
    }
    return {
      sequences: sequences.map(({ logprobs, stop_reason, tokens }) => ({
        stop_reason,
        tokens: Int32Array.from(tokens),
        logprobs: Float32Array.from(logprobs)
      })),
      ...(prompt_logprobs ? { prompt_logprobs: scored } : {}),
      ...(topk_prompt_logprobs > 0 ? { topk_prompt_logprobs: top } : {}),
      prompt_cache_hit_tokens: 0,
      type: "sample"
    }
  })
