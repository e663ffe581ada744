/** The program that reads more tokens of sequences, by the KV cache: a step of generation, or a chunk of a prompt. */
import type { ModelConfig } from "../../ModelConfig.ts"
import type { Program, QuantizedWeights, TensorSpec, Traced } from "../executors/executor.ts"
import * as architecture from "../model/architecture.ts"
import { type Attend, attendToCache } from "../model/attention.ts"
import { afterLayers, loraProjection } from "../model/transformer.ts"
import { manyRows, markersFor, rowsClass, typicalRank } from "./families.ts"
import {
  type AdapterShape,
  baseWeightSpecs,
  disposeAll,
  float32,
  type InputSpecs,
  noAdapter,
  programKey,
  ropeSpecs,
  rowAdapterSpecs
} from "./inputs.ts"

/** `length` new tokens in each of `rows` sequences, of which up to `capacity` tokens are cached. @internal */
export interface ExtendShape {
  readonly rows: number
  readonly length: number
  readonly capacity: number
  /** adapters of rows; none, if absent */
  readonly adapter?: AdapterShape | undefined
}

/** The linear layers but the unembedding. */
const layerLinears = (config: ModelConfig) => architecture.linears(config).filter(({ part }) => part !== "unembed")

/** The name of the input with the cached keys of a layer. @internal */
export const keysInput = (layer: number): string => `keys.${layer}`

/** The name of the input with the cached values of a layer. @internal */
export const valuesInput = (layer: number): string => `values.${layer}`

const cacheSpecs = ({ head_dim, num_kv_heads, num_layers }: ModelConfig, { capacity, rows }: ExtendShape) => {
  const specs: Record<string, TensorSpec> = {}
  for (let layer = 0; layer < num_layers; layer++) {
    specs[keysInput(layer)] = float32(rows, num_kv_heads, capacity, head_dim)
    specs[valuesInput(layer)] = float32(rows, num_kv_heads, capacity, head_dim)
  }
  return specs
}

/** The weights of the layers alone. */
const layerWeightSpecs = (config: ModelConfig): InputSpecs => {
  const { "model.norm.weight": _norm, [architecture.unembedding(config)]: _head, ...specs } = baseWeightSpecs(config)
  return specs
}

/** Also appends the keys and values of every layer to `keysAndValues`. */
const recordKeysAndValues =
  (attend: Attend, keysAndValues: Array<Traced>): Attend =>
  (layer, q, k, v) => {
    keysAndValues.push(k.ref, v.ref)
    return attend(layer, q, k, v)
  }

const extendOf = (config: ModelConfig, shape: ExtendShape, key: string): Program => {
  const { adapter = noAdapter, capacity, length, rows } = shape
  return {
    key,
    inputs: {
      ...layerWeightSpecs(config),
      ...rowAdapterSpecs(layerLinears(config), adapter, rows * length),
      x: float32(rows * length, config.hidden_size),
      ...ropeSpecs(config, rows * length),
      mask: float32(rows, capacity),
      causal: float32(length, length),
      ...(config.sliding_window === undefined
        ? {}
        : { "mask.sliding": float32(rows, length, capacity), "causal.sliding": float32(length, length) }),
      ...cacheSpecs(config, shape)
    },
    trace: (inputs) => {
      const keysAndValues: Array<Traced> = []
      const attend = attendToCache(config, shape, {
        mask: inputs["mask"]!,
        causal: inputs["causal"]!,
        sliding:
          config.sliding_window === undefined
            ? undefined
            : { mask: inputs["mask.sliding"]!, causal: inputs["causal.sliding"]! },
        keys: (layer) => inputs[keysInput(layer)]!,
        values: (layer) => inputs[valuesInput(layer)]!
      })
      const project = loraProjection(config, inputs, inputs)
      const x = afterLayers(config, inputs, inputs["x"]!.ref, project, recordKeysAndValues(attend, keysAndValues))
      disposeAll(inputs)
      return [x, ...keysAndValues]
    }
  }
}

/**
 * Reads `length` more tokens in each of `rows` sequences. N is `rows * length`, the tokens of a sequence together.
 *
 * Inputs besides the weights of the layers: `x` (N, hidden_size); `cos` and `sin` (N, 1, head_dim) of the new positions;
 * `mask` (rows, capacity), added to the scores of cached positions; `causal` (length, length), added to those of the new
 * ones; with an adapter its matrices and `scaling` (N, rank); `mask.sliding` (rows, length, capacity) and `causal.sliding` if layers have a window; and for each layer the cached keys and values (rows, num_kv_heads, capacity, head_dim).
 *
 * Outputs: the output of the last layer (N, hidden_size); then for each layer the new keys and values (N, num_kv_heads,
 * head_dim). The cache is not returned, since outputs are copied. With `deterministic`, the bits of a row
 * depend neither on the number of rows, from 2 on, nor on the capacity. With `quantized`, executors that can keep these
 * weights in few bits.
 *
 * @internal
 */
export const extend = (
  config: ModelConfig,
  shape: ExtendShape,
  deterministic = false,
  quantized?: QuantizedWeights
): Program => {
  const { adapter = noAdapter, capacity, length, rows } = shape
  const rounds = deterministic || quantized !== undefined
  const [first, second, third] = markersFor(config)
  const isStep = length === 1
  const isAdapted = adapter.rank > 0 && adapter.parts.some((part) => part !== "unembed")
  const generic = {
    ...(isStep ? { rows: first, length } : { rows, length: first }),
    capacity: second,
    adapter: isAdapted ? { ...adapter, rank: third } : noAdapter
  }
  const kind = isStep ? "step" : `chunk ${rows}`
  const parts = isAdapted ? [adapter.parts.filter((part) => part !== "unembed").join("+")] : []
  const own = [...parts, ...(quantized === undefined ? [] : [quantized.key])]
  const genericKey = programKey("extend", config, kind, rowsClass(rows * length, rounds), ...own)
  return {
    ...extendOf(
      config,
      shape,
      programKey("extend", config, rows, length, capacity, ...(isAdapted ? [adapter.rank] : []), ...own)
    ),
    quantized,
    family: {
      generic: { ...extendOf(config, generic, genericKey), quantized },
      sizes: [
        { marker: first, size: isStep ? rows : length, typical: rounds ? manyRows : undefined },
        { marker: second, size: capacity },
        ...(isAdapted ? [{ marker: third, size: adapter.rank, typical: typicalRank }] : [])
      ]
    }
  }
}
