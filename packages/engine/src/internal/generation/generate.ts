/** The generation loop: extends sequences token by token with a KV cache. */
import * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type { Executable, StoredTensor, TensorValues } from "../executors/executor.ts"
import { maskedScore } from "../model/attentionMask.ts"
import * as kvCache from "../model/kvCache.ts"
import { embedTokens, type LoadedModel, type StoredWeights } from "../model/loaded.ts"
import * as rope from "../model/rope.ts"
import { decodeStep, keysInput, valuesInput } from "../programs/decodeStep.ts"
import { nextPowerOfTwo } from "../util/shape.ts"
import type { ReadPrompt } from "./readPrompt.ts"
import { rowsFor, smallestCapacity } from "./sampleMemory.ts"
import { extend, type Sequence, type SequenceOptions } from "./sequence.ts"

/** The decode program of a cache, with the arrays of its inputs and outputs, which every step reuses. */
interface Decoder {
  readonly cache: kvCache.KvCache
  readonly run: Executable["run"]
  readonly inputs: Record<string, TensorValues | StoredTensor>
  readonly mask: Float32Array
  /** the embedded tokens (rows, hidden_size) */
  readonly x: Float32Array
  /** (rows, vocab_size) */
  readonly logits: Float32Array
  /** for each layer keys and values, (rows, num_kv_heads, head_dim) */
  readonly keysAndValues: ReadonlyArray<Float32Array>
}

/** The decoder of a cache in which the first `length` positions are used. */
const makeDecoder = (
  model: LoadedModel,
  weights: StoredWeights,
  cache: kvCache.KvCache,
  length: number
): Effect.Effect<Decoder, Engine.EngineError> =>
  Effect.gen(function* () {
    const { head_dim, hidden_size, num_kv_heads, num_layers, vocab_size } = model.config
    const { capacity, rows } = cache
    const { run } = yield* model.executor.compile(decodeStep(model.config, rows, capacity))
    const mask = new Float32Array(capacity).fill(maskedScore)
    mask.fill(0, 0, length)
    const x = new Float32Array(rows * hidden_size)
    return {
      cache,
      run,
      inputs: {
        ...weights,
        ...Object.fromEntries(cache.keys.map((keys, layer) => [keysInput(layer), keys])),
        ...Object.fromEntries(cache.values.map((values, layer) => [valuesInput(layer), values])),
        mask,
        x
      },
      mask,
      x,
      logits: new Float32Array(rows * vocab_size),
      keysAndValues: Array.from({ length: 2 * num_layers }, () => new Float32Array(rows * num_kv_heads * head_dim))
    }
  })

/** A cache in which every row holds the prompt. */
const cachePrompt = (model: LoadedModel, prompt: ReadPrompt, count: number): kvCache.KvCache => {
  const { length } = prompt.tokens
  const cache = model.kvCaches.acquire(model.config, rowsFor(count), nextPowerOfTwo(length + 1, smallestCapacity))
  kvCache.write(model.config, cache, { row: 0, position: 0 }, prompt.keysAndValues, 0, length)
  const first = Array.from({ length: count }, () => 0)
  kvCache.copyRows(model.config, cache, first, length, cache)
  return cache
}

/** Reads the last token of each sequence, at position `length`, and appends its keys and values to the cache. */
const step = (
  model: LoadedModel,
  decoder: Decoder,
  active: ReadonlyArray<Sequence>,
  length: number
): Effect.Effect<void, Engine.EngineError> =>
  Effect.gen(function* () {
    const { cache, inputs, keysAndValues, logits, mask, run, x } = decoder
    embedTokens(
      model,
      active.map(({ tokens }, row) => [row, tokens[tokens.length - 1]!] as const),
      x
    )
    yield* run(Object.assign(inputs, rope.rowsAt(model.rope, [length])), [logits, ...keysAndValues])
    for (let row = 0; row < active.length; row++) {
      kvCache.write(model.config, cache, { row, position: length }, keysAndValues, row, 1)
    }
    mask[length] = 0
  })

/** The rows whose sequences continue after their next token is sampled. */
const extendRows = (
  active: ReadonlyArray<Sequence>,
  logits: Float32Array,
  vocabSize: number,
  options: SequenceOptions
): ReadonlyArray<number> => {
  const continuing: Array<number> = []
  for (let row = 0; row < active.length; row++) {
    const rowLogits = logits.subarray(row * vocabSize, (row + 1) * vocabSize)
    if (extend(active[row]!, rowLogits, options)) continuing.push(row)
  }
  return continuing
}

/** Moves the given rows to another cache of the given capacity. */
const moveRows = (
  model: LoadedModel,
  weights: StoredWeights,
  cache: kvCache.KvCache,
  rows: ReadonlyArray<number>,
  length: number,
  capacity: number
): Effect.Effect<Decoder, Engine.EngineError> => {
  const next = model.kvCaches.acquire(model.config, rowsFor(rows.length), capacity)
  kvCache.copyRows(model.config, cache, rows, length, next)
  model.kvCaches.release(cache)
  return makeDecoder(model, weights, next, length)
}

/**
 * Extends sequences, at most `maxRows`, that follow the same prompt, until each of them has ended. The cache shrinks
 * when sequences end, and doubles when it is full.
 *
 * @internal
 */
export const generate = (
  model: LoadedModel,
  weights: StoredWeights,
  prompt: ReadPrompt,
  sequences: ReadonlyArray<Sequence>,
  options: SequenceOptions
): Effect.Effect<void, Engine.EngineError> =>
  Effect.gen(function* () {
    let active = sequences.filter((sequence) => extend(sequence, prompt.lastLogits, options))
    if (active.length === 0) return
    let { length } = prompt.tokens
    let decoder = yield* makeDecoder(model, weights, cachePrompt(model, prompt, active.length), length)
    while (active.length > 0) {
      yield* step(model, decoder, active, length)
      length += 1
      const rows = extendRows(active, decoder.logits, model.config.vocab_size, options)
      const { capacity } = decoder.cache
      const isFull = length === capacity
      if (rows.length > 0 && (rows.length < active.length || isFull)) {
        decoder = yield* moveRows(model, weights, decoder.cache, rows, length, isFull ? capacity * 2 : capacity)
      }
      if (rows.length > 0) yield* Engine.yieldTurn(active.length)
      active = rows.map((row) => active[row]!)
    }
    model.kvCaches.release(decoder.cache)
  })
