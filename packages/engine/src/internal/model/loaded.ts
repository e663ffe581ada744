/** A base model in memory, with its weights stored on an executor. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type * as ModelDirectory from "../../ModelDirectory.ts"
import type { Executor, QuantizedWeights, StoredTensor } from "../executors/executor.ts"
import { userError } from "../util/errors.ts"
import { range } from "../util/shape.ts"
import * as architecture from "./architecture.ts"
import * as budget from "./budget.ts"
import * as kvCache from "./kvCache.ts"
import type { StoredWeight } from "./packedFiles.ts"
import * as rope from "./rope.ts"

/** Weights that an executor stores, by the names that programs use. @internal */
export interface StoredWeights {
  readonly [name: string]: StoredTensor
}

/** Weights by their names, in float32 or as their file has them. */
type Weights = { readonly [name: string]: StoredWeight }

/** A part of the unembedding: the entries of the vocabulary from `first` on. @internal */
export interface HeadPart {
  readonly first: number
  readonly rows: number
  /** (rows, hidden_size) */
  readonly weight: StoredTensor
  /** the ids of its tokens (rows) */
  readonly tokenIds: StoredTensor
}

/** @internal */
export interface LoadedModel extends budget.ModelMemory {
  readonly directory: ModelDirectory.ModelDirectory
  readonly weights: Weights
  readonly executor: Executor
  readonly stored: StoredWeights
  readonly rope: rope.RopeTables
  /** the token ids 0, 1, 2 … `vocab_size - 1` */
  readonly tokenIds: StoredTensor
  /** the unembedding in parts, if training computes it so */
  readonly headParts: ReadonlyArray<HeadPart> | undefined
  readonly kvCaches: kvCache.Pool
  /** the weights as their file has them, in few bits, if samples may be computed by these */
  readonly quantized: QuantizedWeights | undefined
}

/** The ids 0, 1, 2 … */
const idsOf = (count: number): Int32Array => Int32Array.from({ length: count }, (_, id) => id)

/** The unembedding in parts of so many rows, which share its memory. @internal */
export const headParts = (
  { config }: ModelDirectory.ModelDirectory,
  weights: Weights,
  executor: Executor,
  headRows: number
): Effect.Effect<ReadonlyArray<HeadPart>, Engine.EngineError> => {
  const { hidden_size, vocab_size } = config
  const weight = weights[architecture.unembedding(config)]!
  const ids = idsOf(vocab_size)
  const values = (from: number, to: number) =>
    "packed" in weight ? weight.packed.slice(from, to) : weight.data.subarray(from, to)
  return Effect.forEach(range(Math.ceil(vocab_size / headRows)), (part) => {
    const first = part * headRows
    const rows = Math.min(headRows, vocab_size - first)
    return Effect.all({
      first: Effect.succeed(first),
      rows: Effect.succeed(rows),
      weight: executor.store(values(first * hidden_size, (first + rows) * hidden_size), [rows, hidden_size]),
      tokenIds: executor.store(ids.subarray(first, first + rows), [rows])
    })
  })
}

/** How many bytes weights take of which some are as their file has them; `undefined` if all are in float32. */
const packedBytesOf = (weights: Weights): number | undefined => {
  const all = Object.values(weights)
  return all.some((weight) => "packed" in weight)
    ? all.reduce((sum, weight) => sum + ("packed" in weight ? weight.packed.bytes : weight.data.byteLength), 0)
    : undefined
}

/** Stores the weights of a model with an executor. @internal */
export const load = (
  name: string,
  directory: ModelDirectory.ModelDirectory,
  weights: Weights,
  executor: Executor,
  options: budget.Options,
  quantized?: QuantizedWeights
): Effect.Effect<LoadedModel, Engine.EngineError> =>
  Effect.gen(function* () {
    const { config } = directory
    const stored: Record<string, StoredTensor> = {}
    for (const [key, weight] of Object.entries(weights)) {
      // embeddings are looked up outside of programs
      if (key === architecture.embedding && !config.tie_word_embeddings) continue
      stored[key] = yield* executor.store("packed" in weight ? weight.packed : weight.data, weight.shape)
    }
    const estimates = budget.make(name, config, executor, options, {
      hasFewBits: quantized !== undefined,
      packedBytes: packedBytesOf(weights)
    })
    const { headRows } = estimates.blocks
    return {
      ...estimates,
      directory,
      weights,
      executor,
      stored,
      rope: rope.makeTables(config),
      tokenIds: yield* executor.store(idsOf(config.vocab_size), [config.vocab_size]),
      headParts: headRows === undefined ? undefined : yield* headParts(directory, weights, executor, headRows),
      kvCaches: kvCache.makePool(),
      quantized
    }
  })

/**
 * Writes the embeddings of tokens to the given rows of `out` (rows, hidden_size). Other rows do not change.
 *
 * @internal
 */
export const embedTokens = (
  model: LoadedModel,
  tokens: ReadonlyArray<readonly [row: number, token: number]>,
  out: Float32Array
): void => {
  const { embedding_scale: scale, hidden_size } = model.config
  const table = model.weights[architecture.embedding]!
  for (const [row, token] of tokens) {
    const own = out.subarray(row * hidden_size, (row + 1) * hidden_size)
    if ("packed" in table) table.packed.widenTo(token * hidden_size, own)
    else own.set(table.data.subarray(token * hidden_size, (token + 1) * hidden_size))
    if (scale === 1) continue
    for (let i = 0; i < own.length; i++) own[i] = own[i]! * scale
  }
}

/** Fails if a sequence is longer than the context. `what` names the sequence. @internal */
export const checkContextLength = (
  model: LoadedModel,
  length: number,
  what: string
): Effect.Effect<void, Engine.EngineError> => {
  const limit = model.config.max_context_length
  return length <= limit
    ? Effect.void
    : Effect.fail(userError(`${what} has ${length} tokens, but the context of ${model.name} has ${limit}: shorten it`))
}
