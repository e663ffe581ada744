/** Extends sequences of any requests together by one token at a time, each in a row of one KV cache. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type { Inputs, StoredTensor, TensorValues } from "../executors/executor.ts"
import * as architecture from "../model/architecture.ts"
import { maskedScore } from "../model/attentionMask.ts"
import * as kvCache from "../model/kvCache.ts"
import * as rowAdapter from "../lora/rowAdapter.ts"
import { embedTokens, type LoadedModel } from "../model/loaded.ts"
import * as rope from "../model/rope.ts"
import { extend, keysInput, valuesInput } from "../programs/extend.ts"
import { headLogits } from "../programs/headBlock.ts"
import { nextPowerOfTwo } from "../util/shape.ts"
import type { Prefix } from "./prefixCache.ts"
import { rowsFor, smallestCapacity } from "./sampleMemory.ts"
import type { Sequence } from "./sequence.ts"

/** A sequence in a row of the cache. @internal */
export interface Row {
  readonly sequence: Sequence
  readonly adapter: rowAdapter.RowAdapter
  /** how many of its tokens are cached: all but the last */
  length: number
  /** how many tokens it may have */
  readonly needs: number
}

/** What a step reads and writes, for as many rows as the cache has. */
interface Buffers {
  readonly cache: kvCache.KvCache
  /** (rows, capacity) */
  readonly mask: Float32Array
  /** the mask of layers with a window, if there are any */
  readonly slidingMask: Float32Array | undefined
  /** the embedded tokens (rows, hidden_size) */
  readonly x: Float32Array
  /** the output of the last layer (rows, hidden_size) */
  readonly hidden: Float32Array
  /** for each layer keys and values, (rows, num_kv_heads, head_dim) */
  readonly keysAndValues: ReadonlyArray<Float32Array>
  /** (rows, vocab_size) */
  readonly logits: Float32Array
}

const makeBuffers = (model: LoadedModel, rows: number, capacity: number): Buffers => {
  const { head_dim, hidden_size, num_kv_heads, num_layers, sliding_window, vocab_size } = model.config
  const makeMask = () => new Float32Array(rows * capacity).fill(maskedScore)
  return {
    cache: model.kvCaches.acquire(model.config, rows, capacity),
    mask: makeMask(),
    slidingMask: sliding_window === undefined ? undefined : makeMask(),
    x: new Float32Array(rows * hidden_size),
    hidden: new Float32Array(rows * hidden_size),
    keysAndValues: Array.from({ length: 2 * num_layers }, () => new Float32Array(rows * num_kv_heads * head_dim)),
    logits: new Float32Array(rows * vocab_size)
  }
}

const causal = new Float32Array(1)

/** Whether the model has diverged: the cache then holds what is not a number. */
const hasNaN = ({ sequence }: Row): boolean => sequence.logprobs.some(Number.isNaN)

/** Adapters side by side, stored with the executor. */
interface StoredStack {
  readonly stack: rowAdapter.Stack
  readonly inputs: { readonly [input: string]: StoredTensor }
}

/** More adapters in one batch, or larger ones, cost each row more than they save. */
const mostAdapters = 8
const mostRank = 256

/** Whether rows with an adapter may share their products with others. */
const isShared = ({ deterministic, executor }: LoadedModel, adapter: rowAdapter.RowAdapter): boolean =>
  !deterministic && executor.compilesFamilies && adapter.isFinite

/** Rows that are extended together: of the base model, and of checkpoints. @internal */
export class Decoder<R extends Row> {
  private readonly model: LoadedModel
  private buffers: Buffers | undefined
  /** the adapters of the last step */
  private stored: StoredStack = { stack: rowAdapter.stack([]), inputs: {} }
  /** the first rows of the cache, in its order */
  rows: ReadonlyArray<R> = []

  constructor(model: LoadedModel) {
    this.model = model
  }

  /** Whether a sequence with an adapter may join: where bits depend on a request alone, others have no part in them. */
  takes(adapter: rowAdapter.RowAdapter): boolean {
    const present = this.adapters
    if (this.rows.length === 0 || present.includes(adapter)) return true
    const all = [...present, adapter]
    return (
      all.every((one) => isShared(this.model, one)) &&
      all.length <= mostAdapters &&
      all.reduce((sum, { rank }) => sum + rank, 0) <= mostRank
    )
  }

  private get adapters(): ReadonlyArray<rowAdapter.RowAdapter> {
    return [...new Set(this.rows.map(({ adapter }) => adapter))]
  }

  /** Adds a sequence that follows a prompt. */
  add(row: R, { cache }: Prefix): void {
    const buffers = this.reserve(this.rows.length + 1, row.length + 1)
    const target = { cache: buffers.cache, row: this.rows.length }
    kvCache.copyRow(this.model.config, { cache, row: 0 }, row.length, target)
    this.setMask(buffers, this.rows.length, row.length)
    this.rows = [...this.rows, row]
  }

  /** What is cached of a row, copied. */
  read(row: R): kvCache.KvCache {
    const { config } = this.model
    const source = { cache: this.buffers!.cache, row: this.rows.indexOf(row) }
    const cache = kvCache.make(config, 1, nextPowerOfTwo(row.length, smallestCapacity))
    kvCache.copyRow(config, source, row.length, { cache, row: 0 })
    return cache
  }

  /** Removes rows: the last ones take their places. */
  remove(isRemoved: (row: R) => boolean): void {
    const rows = [...this.rows]
    const { buffers } = this
    for (let i = rows.length - 1; i >= 0; i--) {
      if (buffers === undefined || !isRemoved(rows[i]!)) continue
      const last = rows.length - 1
      const [freed, moved] = [rows[i]!, rows.pop()!]
      if (hasNaN(freed)) kvCache.clearRow(this.model.config, { ...buffers, row: i })
      if (i < last) {
        kvCache.copyRow(this.model.config, { cache: buffers.cache, row: last }, moved.length, { ...buffers, row: i })
        this.setMask(buffers, i, moved.length)
        rows[i] = moved
        if (hasNaN(moved)) kvCache.clearRow(this.model.config, { ...buffers, row: last })
      }
      this.setMask(buffers, last, 0)
    }
    this.rows = rows
    if (rows.length > 0) return
    this.release()
    this.releaseStack()
  }

  private release(): void {
    if (this.buffers !== undefined) this.model.kvCaches.release(this.buffers.cache)
    this.buffers = undefined
  }

  /** Releases the adapters of the last step. */
  private releaseStack(): void {
    for (const tensor of Object.values(this.stored.inputs)) tensor.release()
    this.stored = { stack: rowAdapter.stack([]), inputs: {} }
  }

  /** The adapters of the present rows. They are stacked again when another one joined, or one left. */
  private readonly prepareStack = Effect.suspend(() => {
    const { executor } = this.model
    const adapters = this.adapters.filter((adapter) => adapter !== rowAdapter.none)
    const known = this.stored.stack.adapters
    if (adapters.length === known.length && adapters.every((adapter) => known.includes(adapter))) {
      return Effect.succeed(this.stored)
    }
    this.releaseStack()
    const stack = rowAdapter.stack(adapters)
    return Effect.map(rowAdapter.store(executor, stack), (inputs) => (this.stored = { stack, inputs }))
  })

  /** Lets the next token of a row see the `length` cached ones, or the last of them where there is a window. */
  private setMask({ cache: { capacity }, mask, slidingMask }: Buffers, row: number, length: number): void {
    const start = row * capacity
    mask.fill(0, start, start + length)
    mask.fill(maskedScore, start + length, start + capacity)
    if (slidingMask === undefined) return
    const first = Math.max(0, length - this.model.config.sliding_window! + 1)
    slidingMask.fill(maskedScore, start, start + capacity).fill(0, start + first, start + Math.max(first, length))
  }

  /** Buffers for so many rows and positions, with the present rows. They grow by steps. */
  private reserve(rows: number, positions: number): Buffers {
    const before = this.buffers
    const count = Math.max(this.rowsOfRun(rows), before?.cache.rows ?? 1)
    const capacity = Math.max(nextPowerOfTwo(positions, smallestCapacity), before?.cache.capacity ?? 1)
    if (before !== undefined && count === before.cache.rows && capacity === before.cache.capacity) return before
    const after = makeBuffers(this.model, rowsFor(count), capacity)
    this.rows.forEach(({ length }, row) => {
      kvCache.copyRow(this.model.config, { cache: before!.cache, row }, length, { cache: after.cache, row })
      this.setMask(after, row, length)
    })
    this.release()
    this.buffers = after
    return after
  }

  /** The rows of a run: padded where each number takes time to compile, or where a single row has other bits. */
  private rowsOfRun(rows: number): number {
    const { deterministic, executor } = this.model
    const least = deterministic ? 2 : 1
    return executor.compilesFamilies ? Math.max(least, rows) : rowsFor(Math.max(least, rows))
  }

  /**
   * Reads the last token of each sequence. Returns the logits after it (rows, vocab_size), which the next step
   * overwrites. Rows must not be added or removed meanwhile.
   */
  step(): Effect.Effect<Float32Array, Engine.EngineError> {
    return Effect.gen(this, function* () {
      const { model, rows } = this
      const { config, executor } = model
      const buffers = this.reserve(rows.length, Math.max(...rows.map(({ length }) => length)) + 1)
      const count = this.rowsOfRun(rows.length)
      const { capacity } = buffers.cache
      const part = (data: Float32Array) => data.subarray(0, (data.length / buffers.cache.rows) * count)
      const keysAndValues = buffers.keysAndValues.map(part)
      const [hidden, logits] = [part(buffers.hidden), part(buffers.logits)]
      const { deterministic, quantized } = model
      const { inputs, stack } = yield* this.prepareStack
      const adapters: Inputs = { ...inputs, scaling: rowAdapter.scalings(stack, rows.map(({ adapter }) => adapter), count) } // prettier-ignore
      const body = yield* executor.compile(
        extend(config, { rows: count, length: 1, capacity, adapter: stack }, deterministic, quantized)
      )
      yield* body.run({ ...model.stored, ...adapters, ...this.stepInputs(buffers, count) }, [hidden, ...keysAndValues])
      rows.forEach((row, i) => {
        kvCache.write(config, buffers.cache, { row: i, position: row.length }, keysAndValues, i, 1)
        buffers.mask[i * capacity + row.length] = 0
        row.length += 1
        if (buffers.slidingMask !== undefined) this.setMask(buffers, i, row.length)
      })
      const headRank = stack.parts.includes("unembed") ? stack.rank : 0
      const head = yield* executor.compile(headLogits(config, count, headRank, deterministic, quantized))
      const names = ["model.norm.weight", architecture.unembedding(config)]
      const weights = Object.fromEntries(names.map((name) => [name, model.stored[name]!]))
      yield* head.run({ ...weights, ...adapters, x: hidden }, [logits])
      return logits
    })
  }

  private stepInputs({ cache, mask, slidingMask, x }: Buffers, count: number): Record<string, TensorValues> {
    const { model, rows } = this
    const tokens = rows.map(({ sequence }, row) => [row, sequence.tokens[sequence.tokens.length - 1]!] as const)
    embedTokens(model, tokens, x)
    const positions = Int32Array.from({ length: count }, (_, row) => rows[row]?.length ?? 0)
    const first = (data: Float32Array) => kvCache.firstRows(model.config, cache, data, count)
    return {
      x: x.subarray(0, count * model.config.hidden_size),
      mask: mask.subarray(0, count * cache.capacity),
      causal,
      ...(slidingMask && { "mask.sliding": slidingMask.subarray(0, count * cache.capacity), "causal.sliding": causal }),
      ...rope.rowsAt(model.rope, positions),
      ...Object.fromEntries(cache.keys.map((keys, layer) => [keysInput(layer), first(keys)])),
      ...Object.fromEntries(cache.values.map((values, layer) => [valuesInput(layer), first(values)]))
    }
  }
}
