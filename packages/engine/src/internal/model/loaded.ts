import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type { ModelConfig } from "../../ModelConfig.ts"
import type * as ModelDirectory from "../../ModelDirectory.ts"
import * as cache from "./kvCache.ts"
import * as config from "./architecture.ts"
import { userError } from "../util/errors.ts"
import type { Data, Executor, Stored } from "../executors/executor.ts"
import * as rope from "./rope.ts"

/** A base model in memory: its weights, those that programs read also stored with the executor. @internal */
export interface BaseModel {
  readonly name: string
  readonly directory: ModelDirectory.ModelDirectory
  readonly config: ModelConfig
  readonly weights: ModelDirectory.Weights
  readonly executor: Executor
  /** by the names that programs use */
  readonly stored: { readonly [name: string]: Stored }
  readonly rope: rope.RopeTables
  /** 0, 1, 2 … up to the size of the vocabulary */
  readonly vocabulary: Stored
  readonly caches: cache.Pool
  /** how many positions a run may have */
  readonly maxTokensPerRun: number
}

/** About how many values a position leaves behind in a run of training; measured, and a little generous. */
const valuesPerToken = (model: ModelConfig): number =>
  model.num_layers * (30 * model.hidden_size + 22 * model.intermediate_size + 16 * model.num_heads * model.head_dim) +
  10 * model.vocab_size

/** Values, of four bytes each, that a run may leave behind: 256 MB. */
const budget = 2 ** 26

const tokensPerRun = (model: ModelConfig): number => {
  const most = budget / valuesPerToken(model)
  return Math.min(1024, Math.max(64, 2 ** Math.floor(Math.log2(Math.max(most, 1)))))
}

/** @internal */
export const make = (
  name: string,
  directory: ModelDirectory.ModelDirectory,
  weights: ModelDirectory.Weights,
  executor: Executor,
  maxTokensPerRun: number | undefined
): Effect.Effect<BaseModel, Engine.EngineError> =>
  Effect.gen(function* () {
    const model = directory.config
    const stored: Record<string, Stored> = {}
    for (const [key, { data, shape }] of Object.entries(weights)) {
      if (key === config.embedding && !model.tie_word_embeddings) continue
      stored[key] = yield* executor.store(data, shape)
    }
    const vocabulary = yield* executor.store(
      Int32Array.from({ length: model.vocab_size }, (_, index) => index),
      [model.vocab_size]
    )
    return {
      name,
      directory,
      config: model,
      weights,
      executor,
      stored,
      rope: rope.tables(model),
      vocabulary,
      caches: cache.makePool(),
      maxTokensPerRun: maxTokensPerRun ?? tokensPerRun(model)
    }
  })

/** The embeddings of tokens at given rows of an output of `rows` rows; other rows are left as they are. @internal */
export const embed = (
  base: BaseModel,
  rows: number,
  tokens: ReadonlyArray<readonly [row: number, token: number]>,
  out = new Float32Array(rows * base.config.hidden_size)
) => {
  const width = base.config.hidden_size
  const table = base.weights[config.embedding]!.data
  for (const [row, token] of tokens) out.set(table.subarray(token * width, (token + 1) * width), row * width)
  return out
}

/** Rope's tables for given positions. @internal */
export const rotations = (base: BaseModel, positions: ArrayLike<number>): Record<"cos" | "sin", Data> => {
  const { cos, sin, width } = base.rope
  const out = { cos: new Float32Array(positions.length * width), sin: new Float32Array(positions.length * width) }
  for (let i = 0; i < positions.length; i++) {
    const from = positions[i]! * width
    out.cos.set(cos.subarray(from, from + width), i * width)
    out.sin.set(sin.subarray(from, from + width), i * width)
  }
  return out
}

/** Fails when a sequence is longer than the context. @internal */
export const checkLength = (base: BaseModel, length: number, what: string): Effect.Effect<void, Engine.EngineError> => {
  const most = base.config.max_context_length
  return length <= most
    ? Effect.void
    : userError(`${what} has ${length} tokens, but the context of ${base.name} has ${most}: shorten it`)
}
