/** Which runs of a model are computed in blocks, and what requests take in memory. Sizes are in values of four bytes. */
import type { ModelConfig } from "../../ModelConfig.ts"

/** The shape of a run: rows of `length` positions, with `targets` targets each. @internal */
export interface RunShape {
  readonly rows: number
  readonly length: number
  readonly targets: number
  readonly backward: boolean
  /** the positions whose logits are computed */
  readonly logits: number
}

/** Which runs are computed in blocks, and of how many positions. @internal */
export interface BlockOptions {
  readonly size: number
  /** the size of the largest run that is computed in one program */
  readonly largestWhole: number
  /** how many entries of the vocabulary the unembedding computes at a time; all of them, if absent */
  readonly headRows?: number | undefined
}

/** How many values of the unembedding are widened at a time where its weights are in 16 bits: 64 MB. */
const headValuesAtOnce = 2 ** 24

/** Into how many more parts than needed the vocabulary is cut, if these are of equal size. */
const mostExtraParts = 4

/** The size of the parts of the vocabulary: of all of them, if some number of parts divides it. @internal */
export const headRowsOf = ({ hidden_size, vocab_size }: ModelConfig, atOnce = headValuesAtOnce): number => {
  const needed = Math.ceil(vocab_size / Math.max(1, Math.floor(atOnce / hidden_size)))
  for (let parts = needed; parts <= mostExtraParts * needed; parts++) {
    if (vocab_size % parts === 0) return vocab_size / parts
  }
  return Math.ceil(vocab_size / needed)
}

/** @internal */
export const defaultBlocks: BlockOptions = { size: 256, largestWhole: (3 * 2 ** 30) / 4 }

// The factors below were measured by the peak memory of processes, and rounded up.

/** The values of one position that a layer keeps for the backward pass. */
const valuesPerLayer = ({ head_dim, hidden_size, intermediate_size, num_heads }: ModelConfig): number =>
  30 * hidden_size + 22 * intermediate_size + 16 * num_heads * head_dim

/** The values of the logits of a position, for so many entries of the vocabulary. */
const valuesOfLogits = (entries: number, targets: number): number => (7 + 3 * targets) * entries

/** The values that a run in one program takes. */
const wholeRun = (config: ModelConfig, { backward, length, logits, rows, targets }: RunShape): number => {
  const scores = rows * config.num_heads * length ** 2
  const layers = backward ? config.num_layers : 2
  return (
    rows * length * layers * valuesPerLayer(config) +
    (backward ? 5 * layers + 2 : 5) * scores +
    logits * valuesOfLogits(config.vocab_size, targets)
  )
}

/** Longer rows are always computed in blocks. */
const longestWhole = 1024

/** From this length on, blocks are also faster where attention takes most of the time. */
const longAttention = 512

/** Whether attention to `length` positions takes so much of a layer's time that blocks, which leave out half, are faster. */
const isAttentionHeavy = (config: ModelConfig, length: number): boolean => {
  const { head_dim, hidden_size, intermediate_size, num_heads, num_kv_heads } = config
  const parameters = hidden_size * (2 * (num_heads + num_kv_heads) * head_dim + 3 * intermediate_size)
  return length >= longAttention && parameters <= 128 * num_heads * length
}

/** How many logits exist at once in blocks, for each target of a position: 32 MB. */
const logitsAtOnce = 2 ** 23

/**
 * How many of `positions`, a power of two, have their logits of so many entries of the vocabulary computed at once in
 * blocks.
 *
 * @internal
 */
export const headBlockSize = (entries: number, positions: number, targets: number): number => {
  const fitting = Math.max(1, logitsAtOnce / (entries * targets))
  return Math.min(positions, 2 ** Math.floor(Math.log2(fitting)))
}

/** The values that a run in blocks takes: what it keeps of all positions, and its programs. */
const blockedRun = (
  config: ModelConfig,
  blocks: BlockOptions,
  { backward, length, rows, targets }: RunShape
): number => {
  const { head_dim, hidden_size, num_heads } = config
  const positions = rows * length
  const size = Math.min(blocks.size, positions)
  const heads = num_heads * head_dim
  const projected = heads + keysAndValues(config)
  const inputs = 2 * hidden_size + 2 * head_dim + 8 * targets
  const kept = backward ? config.num_layers * (hidden_size + heads + num_heads) + 2 * projected + heads : 0
  const entries = blocks.headRows ?? config.vocab_size
  const workspace = hidden_size + projected + heads + num_heads
  return (
    positions * (inputs + kept + workspace) +
    2 * size * valuesPerLayer(config) +
    10 * num_heads * size ** 2 +
    headBlockSize(entries, size, targets) * valuesOfLogits(entries, targets)
  )
}

/** The keys and values of one position in a layer. */
const keysAndValues = ({ head_dim, num_kv_heads }: ModelConfig): number => 2 * num_kv_heads * head_dim

/** Whether a run is computed in one program, which is faster for short rows, or in blocks. @internal */
export const runsWhole = (
  { blocks, config }: { readonly config: ModelConfig; readonly blocks: BlockOptions },
  shape: RunShape
): boolean =>
  shape.length <= longestWhole &&
  !isAttentionHeavy(config, shape.length) &&
  wholeRun(config, shape) <= blocks.largestWhole

type Runs = Parameters<typeof runsWhole>[0]

/** The values that a run takes. @internal */
export const runSize = (model: Runs, shape: RunShape): number =>
  runsWhole(model, shape) ? wholeRun(model.config, shape) : blockedRun(model.config, model.blocks, shape)

/** The values that generation takes: the keys and values of the prompt, and a decoder of several sequences. @internal */
export const generationSize = (config: ModelConfig, prompt: number, rows: number, capacity: number): number =>
  config.num_layers * keysAndValues(config) * (prompt + 1.5 * rows * capacity) +
  rows * (4 * config.num_heads * capacity + 2 * valuesPerLayer(config) + 4 * config.vocab_size)

/** How many values a microbatch may take: 256 MB at four bytes each. */
const valuesPerRun = 2 ** 26

const smallestRun = 64
const largestRun = 1024

/** The largest power of two of tokens whose run fits into memory. @internal */
export const defaultTokensPerRun = (config: ModelConfig): number => {
  const limit = valuesPerRun / (config.num_layers * valuesPerLayer(config) + valuesOfLogits(config.vocab_size, 1))
  return Math.min(largestRun, Math.max(smallestRun, 2 ** Math.floor(Math.log2(Math.max(limit, 1)))))
}
