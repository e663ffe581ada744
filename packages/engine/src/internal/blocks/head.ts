/** The unembedding, a block of positions at a time, so that logits of few positions exist at once. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type { Inputs } from "../executors/executor.ts"
import * as architecture from "../model/architecture.ts"
import { headBlockSize } from "../model/memory.ts"
import { headGradient, headLogits, headScores } from "../programs/headBlock.ts"
import { lossGradInputs } from "../programs/targets.ts"
import type { BlockContext } from "./context.ts"
import * as headParts from "./headParts.ts"
import type { AddGradient } from "./layers.ts"
import * as sequences from "./sequence.ts"

/** The same positions in blocks of the size of the head. */
const headSequence = ({ model, sequence }: BlockContext, targets: number): { size: number; count: number } => {
  const size = headBlockSize(model.config.vocab_size, sequence.size, targets)
  return { size, count: sequences.positionsOf(sequence) / size }
}

const headWeights = ({ model: { config, tokenIds }, weights }: BlockContext): Inputs => ({
  "model.norm.weight": weights["model.norm.weight"]!,
  [architecture.unembedding(config)]: weights[architecture.unembedding(config)]!,
  token_ids: tokenIds
})

/** The targets of all positions (positions, targets), and with a gradient the inputs that define it. @internal */
export interface Targets {
  readonly perPosition: number
  readonly inputs: { readonly [name: string]: Float32Array | Int32Array }
}

const headRank = ({ adapter }: BlockContext): number => (adapter.parts.includes("unembed") ? adapter.rank : 0)

const adapterInputs = (context: BlockContext): Inputs =>
  headRank(context) > 0
    ? {
        "lm_head.A": context.weights["lm_head.A"]!,
        "lm_head.B": context.weights["lm_head.B"]!,
        scaling: context.weights["scaling"]!
      }
    : {}

/**
 * Scores the targets by the output of the last layer (positions, hidden_size). With `add`, it is overwritten by its
 * gradient.
 *
 * @internal
 */
export const score = (
  context: BlockContext,
  x: Float32Array,
  { inputs, perPosition: targets }: Targets,
  add: AddGradient | undefined
): Effect.Effect<headParts.Scores, Engine.EngineError> =>
  Effect.gen(function* () {
    const { config, executor, headParts: parts } = context.model
    if (parts !== undefined) return yield* headParts.score(context, parts, x, targets, inputs, add)
    const { count, size } = headSequence(context, targets)
    const adapter = adapterInputs(context)
    const shape = { block: size, targets, rank: headRank(context) }
    const program = yield* executor.compile((add === undefined ? headScores : headGradient)(config, shape))
    const shared = { ...headWeights(context), ...adapter }
    const names = add === undefined ? ["targets"] : ["targets", ...lossGradInputs]
    const scores = { shifted: new Float32Array(count * size * targets), sumExp: new Float32Array(count * size) }
    for (let block = 0; block < count; block++) {
      const of = <A extends Float32Array | Int32Array>(all: A) => sequences.blockOf({ size, count }, all, block)
      const own = Object.fromEntries(names.map((name) => [name, of(inputs[name]!)]))
      const [shifted, sumExp, ofX, a, b] = yield* program.run({ ...shared, ...own, x: of(x) })
      of(scores.shifted).set(shifted!)
      of(scores.sumExp).set(sumExp!)
      if (add === undefined) continue
      of(x).set(ofX!)
      if (shape.rank === 0) continue
      add("lm_head.A", a!)
      add("lm_head.B", b!)
    }
    return scores
  })

/** The adapter of the unembedding, with the same scaling for each position. */
const rowScaling = (context: BlockContext, positions: number): Inputs => {
  const { scaling, ...matrices } = adapterInputs(context)
  if (scaling === undefined) return {}
  const [value] = scaling as Float32Array
  return { ...matrices, scaling: new Float32Array(positions * headRank(context)).fill(value!) }
}

/** Logits (positions, vocab_size) of the positions from `first` on. @internal */
export type ReadLogits = (first: number, logits: Float32Array) => void

/**
 * Computes the logits of `count` positions from the output of the last layer (positions, hidden_size), and gives them to
 * `read`, a block after the other.
 *
 * @internal
 */
export const forEachLogits = (
  context: BlockContext,
  x: Float32Array,
  count: number,
  read: ReadLogits
): Effect.Effect<void, Engine.EngineError> =>
  Effect.gen(function* () {
    const blocks = headSequence(context, 1)
    const rank = headRank(context)
    const program = yield* context.model.executor.compile(headLogits(context.model.config, blocks.size, rank))
    const weights = { ...headWeights(context), ...rowScaling(context, blocks.size) }
    for (let first = 0; first < count; first += blocks.size) {
      const [logits] = yield* program.run({ ...weights, x: sequences.blockOf(blocks, x, first / blocks.size) })
      read(first, logits!.subarray(0, (count - first) * context.model.config.vocab_size))
    }
  })

/** The logits of one position, from the output of the last layer (positions, hidden_size). @internal */
export const logitsOf = (
  context: BlockContext,
  x: Float32Array,
  position: number
): Effect.Effect<Float32Array, Engine.EngineError> =>
  Effect.gen(function* () {
    const { config, executor } = context.model
    const program = yield* executor.compile(headLogits(config, 1, headRank(context)))
    const own = x.subarray(position * config.hidden_size, (position + 1) * config.hidden_size)
    const [logits] = yield* program.run({ ...headWeights(context), ...rowScaling(context, 1), x: own })
    return logits!
  })
