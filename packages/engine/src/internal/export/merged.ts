/** The weights of a base model with an adapter merged in, written part by part. */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import type { ModelConfig } from "../../ModelConfig.ts"
import { headsOf, reorder, sourceOfRow } from "../gguf/model.ts"
import { addTo, type Pair } from "../lora/merge.ts"
import * as architecture from "../model/architecture.ts"
import { FileProblem } from "../model/files.ts"
import { sizeOf } from "../util/shape.ts"
import type { Adapter } from "./adapter.ts"
import type { Source, Weight } from "./source.ts"
import * as values from "./values.ts"

/** A weight of the merged model. @internal */
export interface MergedWeight {
  readonly name: string
  readonly weight: Weight
  readonly pair: Pair | undefined
  /** what the file has more than the engine in each value */
  readonly offset: number
}

/** The configuration of the merged model: an adapter of a shared unembedding makes it a matrix of its own. @internal */
export const configOf = (config: ModelConfig, adapter: Adapter): ModelConfig =>
  adapter.pairs.has("lm_head") ? { ...config, tie_word_embeddings: false } : config

/**
 * All weights of the merged model, for files whose norms lack `normOffset` to those of the engine. Fails if the base model
 * lacks one.
 *
 * @internal
 */
export const weightsOf = (
  path: string,
  config: ModelConfig,
  source: Source,
  adapter: Adapter,
  normOffset: number
): Effect.Effect<ReadonlyArray<MergedWeight>, FileProblem> => {
  const norms = new Set(architecture.norms(config).map(([name]) => name))
  return Effect.forEach(architecture.expectedWeights(configOf(config, adapter)), ([name, shape]) => {
    const isUntied = config.tie_word_embeddings && name === "lm_head.weight"
    const weight = source.weights.get(isUntied ? architecture.embedding : name)
    if (weight === undefined || weight.shape.join() !== shape.join()) {
      return Effect.fail(new FileProblem(path, `has no ${name} of the shape [${shape.join(", ")}] in F32, F16 or BF16`))
    }
    const offset = norms.has(name) ? source.normOffset - normOffset : 0
    return Effect.succeed({ name, weight, pair: adapter.pairs.get(name.replace(/\.weight$/, "")), offset })
  })
}

/** About so many values are in memory at a time. */
const valuesOfPart = 2 ** 22

/** The rows of a part: whole heads, as their rows may change places. */
const rowsOfPart = (columns: number, headRows: number): number =>
  headRows * Math.max(1, Math.floor(valuesOfPart / columns / headRows))

const check = (part: Float32Array, name: string, format: values.Format): string | undefined => {
  const largest = values.largestOf(format)
  for (const value of part) {
    if (!(Math.abs(value) <= largest)) return `has ${value} in ${name} after the merge, which ${format} does not hold`
  }
  return undefined
}

/** The rows of some heads in pairs, from halves: the inverse of how they are read. */
const toPairs = (part: Float32Array, columns: number, headRows: number): Float32Array => {
  const rows = part.length / columns
  const placeOf = sourceOfRow(rows / headRows, rows)
  const rowAt = new Uint32Array(rows)
  for (let row = 0; row < rows; row++) rowAt[placeOf(row)] = row
  return reorder(part, columns, (place) => rowAt[place]!)
}

/** Where a weight goes. @internal */
export interface Target {
  readonly file: FileSystem.File
  /** that errors name */
  readonly path: string
  readonly config: ModelConfig
  readonly isGguf: boolean
}

/** Writes a weight to a file, in the order of rows that the file has. @internal */
export const write = (
  { config, file, isGguf, path }: Target,
  { name, offset, pair, weight }: MergedWeight,
  format: values.Format
) =>
  Effect.gen(function* () {
    const [rows = 1] = weight.shape
    const columns = sizeOf(weight.shape.slice(1))
    const isPaired = isGguf && headsOf(name, config) !== undefined
    const step = rowsOfPart(columns, config.head_dim)
    for (let first = 0; first < rows; first += step) {
      const part = yield* weight.read(first, Math.min(step, rows - first))
      if (pair !== undefined) addTo(part, pair, first)
      if (offset !== 0) for (let i = 0; i < part.length; i++) part[i] = part[i]! + offset
      const problem = check(part, name, format)
      if (problem !== undefined) return yield* Effect.fail(new FileProblem(path, problem))
      yield* file
        .writeAll(values.encode(isPaired ? toPairs(part, columns, config.head_dim) : part, format))
        .pipe(Effect.mapError((cause) => new FileProblem(path, "cannot be written", cause)))
    }
  })
