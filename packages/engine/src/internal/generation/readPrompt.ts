/** Reads a prompt into the model: in chunks, between which others compute, or in blocks where it is very long. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type { BlockContext } from "../blocks/context.ts"
import * as head from "../blocks/head.ts"
import * as layers from "../blocks/layers.ts"
import * as sequences from "../blocks/sequence.ts"
import type { Inputs } from "../executors/executor.ts"
import * as rowAdapter from "../lora/rowAdapter.ts"
import { causalMask, maskedScore } from "../model/attentionMask.ts"
import * as kvCache from "../model/kvCache.ts"
import { embedTokens, type LoadedModel } from "../model/loaded.ts"
import * as memory from "../model/memory.ts"
import * as rope from "../model/rope.ts"
import { extend, keysInput, valuesInput } from "../programs/extend.ts"
import { nextPowerOfTwo } from "../util/shape.ts"
import type { Match, Prefix } from "./prefixCache.ts"
import { chunkLength, chunkSize, promptShape, smallestCapacity } from "./sampleMemory.ts"

/** A prompt that the model has read. @internal */
export interface ReadPrompt extends Prefix {
  readonly lastLogits: Float32Array
  /** gives the logits of all positions but the last to a function, some positions at a time; if requested */
  readonly forEachLogits: ((read: head.ReadLogits) => Effect.Effect<void, Engine.EngineError>) | undefined
  /** how many of its tokens were known before */
  readonly reused: number
}

/** The embedded tokens and the tables of their positions from `first` on, padded to a length. */
const promptInputs = (model: LoadedModel, tokens: Int32Array, first: number, length: number) => {
  const positions = Int32Array.from({ length }, (_, i) => (i < tokens.length ? first + i : 0))
  const x = new Float32Array(length * model.config.hidden_size)
  embedTokens(
    model,
    Array.from(tokens, (token, i) => [i, token] as const),
    x
  )
  return { x, ...rope.rowsAt(model.rope, positions) }
}

/** A prompt that is being read. @internal */
export interface Reading {
  readonly model: LoadedModel
  readonly adapter: rowAdapter.RowAdapter
  readonly tokens: Int32Array
  readonly cache: kvCache.KvCache
  readonly reused: number
  /** the outputs of the last layer (tokens, hidden_size), if the logits of all positions are wanted */
  readonly hidden: Float32Array | undefined
  /** how many tokens are read */
  position: number
}

/** Begins to read a prompt, behind what is known of it. @internal */
export const begin = (
  model: LoadedModel,
  adapter: rowAdapter.RowAdapter,
  tokens: Int32Array,
  wantsAllLogits: boolean,
  known: Match | undefined
): Reading => {
  const cache = kvCache.make(model.config, 1, nextPowerOfTwo(tokens.length, smallestCapacity))
  const reused = known?.length ?? 0
  if (known !== undefined) {
    kvCache.copyRow(model.config, { cache: known.prefix.cache, row: 0 }, reused, { cache, row: 0 })
  }
  const hidden = wantsAllLogits ? new Float32Array(tokens.length * model.config.hidden_size) : undefined
  return { model, adapter, tokens, cache, reused, hidden, position: reused }
}

/** The masks of layers with a window, for the chunk of `length` positions from `position` on. */
const slidingMasks = (window: number, position: number, length: number, capacity: number): Inputs => {
  const mask = new Float32Array(length * capacity).fill(maskedScore)
  for (let i = 0; i < length; i++) {
    const first = Math.max(0, position + i - window + 1)
    mask.fill(0, i * capacity + first, i * capacity + Math.max(first, position))
  }
  return {
    "mask.sliding": mask,
    "causal.sliding": causalMask(1, length, [{ row: 0, column: 0, length }], window)
  }
}

/** What a chunk of `length` positions attends to: nothing, in the form of one masked position, or the cached ones. */
const cachedInputs = ({ cache, model: { config }, position }: Reading, length: number) => {
  const capacity = position === 0 ? 1 : cache.capacity
  const mask = new Float32Array(capacity).fill(maskedScore).fill(0, 0, position)
  const nothing = new Float32Array(config.num_kv_heads * config.head_dim)
  const of = (data: Float32Array) => (position === 0 ? nothing : data)
  return {
    capacity,
    inputs: {
      mask,
      ...(config.sliding_window === undefined ? {} : slidingMasks(config.sliding_window, position, length, capacity)),
      ...Object.fromEntries(cache.keys.map((keys, layer) => [keysInput(layer), of(keys)])),
      ...Object.fromEntries(cache.values.map((values, layer) => [valuesInput(layer), of(values)]))
    }
  }
}

/** What runs in blocks take of the model and an adapter. */
const blockInputs = (model: LoadedModel, adapter: rowAdapter.RowAdapter): Pick<BlockContext, "weights" | "adapter"> => {
  const { parts, rank } = rowAdapter.stack([adapter])
  return {
    weights: { ...model.stored, ...adapter.matrices, scaling: Float32Array.of(adapter.scaling) },
    adapter: { rank, parts }
  }
}

/** The positions as a run in blocks takes them, for their logits. */
const headContext = ({ adapter, model }: Reading, size: number, positions: number): BlockContext => {
  const nothing = new Float32Array(0)
  const sequence = sequences.make(size, [{ start: 0, length: positions }])
  return { model, ...blockInputs(model, adapter), sequence, ropes: { cos: nothing, sin: nothing }, passes: 1 }
}

const finish = (reading: Reading, last: Float32Array): Effect.Effect<ReadPrompt, Engine.EngineError> =>
  Effect.gen(function* () {
    const { cache, hidden, reused, tokens } = reading
    const count = tokens.length - 1
    return {
      tokens,
      cache,
      reused,
      lastLogits: yield* head.logitsOf(headContext(reading, 1, 1), last, 0),
      forEachLogits: hidden && ((read) => forEachLogits(reading, hidden, count, read))
    }
  })

/** The logits of the first `count` positions, padded to whole blocks. */
const forEachLogits = (
  reading: Reading,
  hidden: Float32Array,
  count: number,
  read: head.ReadLogits
): Effect.Effect<void, Engine.EngineError> => {
  const size = chunkLength(count)
  const context = headContext(reading, size, Math.max(count, 1))
  const x = new Float32Array(sequences.positionsOf(context.sequence) * reading.model.config.hidden_size)
  x.set(hidden.subarray(0, count * reading.model.config.hidden_size))
  return head.forEachLogits(context, x, count, read)
}

/** Reads a chunk, and returns the prompt if it was the last one. @internal */
export const readChunk = (reading: Reading): Effect.Effect<ReadPrompt | undefined, Engine.EngineError> =>
  Effect.gen(function* () {
    const { adapter, cache, hidden, model, position, tokens } = reading
    const { config, executor } = model
    const chunk = tokens.subarray(position, position + chunkSize)
    const length = chunkLength(chunk.length)
    const { capacity, inputs } = cachedInputs(reading, length)
    const stack = rowAdapter.stack([adapter])
    const { run } = yield* executor.compile(extend(config, { rows: 1, length, capacity, adapter: stack }))
    const [x, ...keysAndValues] = yield* run({
      ...model.stored,
      ...stack.inputs,
      scaling: new Float32Array(length * stack.rank).fill(adapter.scaling),
      ...promptInputs(model, chunk, position, length),
      ...inputs,
      causal: causalMask(1, length, [{ row: 0, column: 0, length }])
    })
    kvCache.write(config, cache, { row: 0, position }, keysAndValues, 0, chunk.length)
    hidden?.set(x!.subarray(0, chunk.length * config.hidden_size), position * config.hidden_size)
    reading.position += chunk.length
    if (reading.position < tokens.length) return undefined
    const last = (chunk.length - 1) * config.hidden_size
    return yield* finish(reading, x!.subarray(last, last + config.hidden_size))
  })

/** Whether a prompt is so long that it is read in blocks. @internal */
export const isLong = (model: LoadedModel, tokens: number, wantsAllLogits: boolean): boolean =>
  !memory.runsWhole(model, promptShape(tokens, wantsAllLogits))

/** Reads a long prompt, layer by layer. It gives way to others between blocks. @internal */
export const readLong = (
  model: LoadedModel,
  adapter: rowAdapter.RowAdapter,
  tokens: Int32Array,
  wantsAllLogits: boolean
): Effect.Effect<ReadPrompt, Engine.EngineError> =>
  Effect.gen(function* () {
    const size = Math.min(model.blocks.size, promptShape(tokens.length, wantsAllLogits).length)
    const sequence = sequences.make(size, [{ start: 0, length: tokens.length }])
    const { x, ...ropes } = promptInputs(model, tokens, 0, sequences.positionsOf(sequence))
    const context: BlockContext = { model, ...blockInputs(model, adapter), sequence, ropes, passes: 1 }
    const keysAndValues: Array<Float32Array> = []
    yield* layers.forward(context, x, (keys, values) => keysAndValues.push(keys, values))
    const cache = kvCache.make(model.config, 1, nextPowerOfTwo(tokens.length, smallestCapacity))
    kvCache.write(model.config, cache, { row: 0, position: 0 }, keysAndValues, 0, tokens.length)
    return {
      tokens,
      cache,
      reused: 0,
      lastLogits: yield* head.logitsOf(context, x, tokens.length - 1),
      forEachLogits: wantsAllLogits ? (read) => head.forEachLogits(context, x, tokens.length - 1, read) : undefined
    }
  })
