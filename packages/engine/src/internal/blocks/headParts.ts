/** The unembedding, a part of the vocabulary at a time, so that one part of its weights is widened at once. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type { Inputs } from "../executors/executor.ts"
import * as architecture from "../model/architecture.ts"
import type { HeadPart } from "../model/loaded.ts"
import { headBlockSize } from "../model/memory.ts"
import { headPartGradient, headPartScores, type HeadPartShape } from "../programs/headPart.ts"
import { lossGradInputs } from "../programs/targets.ts"
import { addTo } from "./attention.ts"
import type { BlockContext } from "./context.ts"
import type { AddGradient } from "./layers.ts"
import * as sequences from "./sequence.ts"

/** The scores of targets (positions, targets), by the largest logit of each position. */
interface Merged {
  readonly largest: Float32Array
  /** of exponentials of logits less the largest */
  readonly sumExp: Float32Array
  /** the logits of the targets */
  readonly logits: Float32Array
}

/** The blocks of positions that programs of a part run on. */
type Blocks = Pick<sequences.BlockedSequence, "size" | "count">

const blocksOf = ({ sequence }: BlockContext, { rows }: HeadPart, targets: number): Blocks => {
  const size = headBlockSize(rows, sequence.size, targets)
  return { size, count: sequences.positionsOf(sequence) / size }
}

const rankOf = ({ adapter }: BlockContext): number => (adapter.parts.includes("unembed") ? adapter.rank : 0)

/** The inputs of a part that are the same for all blocks. */
const partInputs = (context: BlockContext, part: HeadPart): Inputs => {
  const { model, weights } = context
  const rank = rankOf(context)
  const own = (weights["lm_head.B"] as Float32Array | undefined)?.subarray(
    part.first * rank,
    (part.first + part.rows) * rank
  )
  return {
    "model.norm.weight": weights["model.norm.weight"]!,
    [architecture.unembedding(model.config)]: part.weight,
    token_ids: part.tokenIds,
    ...(rank === 0 ? {} : { "lm_head.A": weights["lm_head.A"]!, "lm_head.B": own!, scaling: weights["scaling"]! })
  }
}

/** Adds a part of the vocabulary to the scores of a block of positions. */
const merge = (into: Merged, [largest, sumExp, logits]: ReadonlyArray<Float32Array>): void => {
  addTo(into.logits, logits!)
  for (let i = 0; i < largest!.length; i++) {
    const [old, own] = [into.largest[i]!, largest![i]!]
    const larger = Math.max(old, own)
    // before the first part, there is nothing to scale
    const kept = old === -Infinity ? 0 : into.sumExp[i]! * Math.exp(old - larger)
    into.sumExp[i] = kept + sumExp![i]! * Math.exp(own - larger)
    into.largest[i] = larger
  }
}

/** The scores of targets (positions, targets), and the sums (positions) that they are shifted by. @internal */
export interface Scores {
  readonly shifted: Float32Array
  readonly sumExp: Float32Array
}

const toScores = ({ largest, logits, sumExp }: Merged, targets: number): Scores => ({
  shifted: logits.map((logit, i) => logit - largest[Math.floor(i / targets)]!),
  sumExp
})

/** Values of all positions by the names of inputs. */
interface Positions {
  readonly [name: string]: Float32Array | Int32Array
}

/** Runs the program of each part on each block. */
const forEachPart = (
  context: BlockContext,
  parts: ReadonlyArray<HeadPart>,
  targets: number,
  program: typeof headPartScores,
  inputs: Positions,
  use: (outputs: ReadonlyArray<Float32Array>, part: HeadPart, of: (values: Float32Array) => Float32Array) => void
): Effect.Effect<void, Engine.EngineError> =>
  Effect.gen(function* () {
    const { config, executor } = context.model
    for (const part of parts) {
      const blocks = blocksOf(context, part, targets)
      const shape: HeadPartShape = { entries: part.rows, block: blocks.size, targets, rank: rankOf(context) }
      const { run } = yield* executor.compile(program(config, shape))
      const shared = partInputs(context, part)
      for (let block = 0; block < blocks.count; block++) {
        const own = Object.entries(inputs).map(([name, all]) => [name, sequences.blockOf(blocks, all, block)] as const)
        const outputs = yield* run({ ...shared, ...Object.fromEntries(own) })
        use(outputs, part, (values) => sequences.blockOf(blocks, values, block))
      }
    }
  })

/**
 * Scores the targets by the output of the last layer (positions, hidden_size), part by part. With `add`, it runs the parts
 * again for the gradient, which overwrites `x`.
 *
 * @internal
 */
export const score = (
  context: BlockContext,
  parts: ReadonlyArray<HeadPart>,
  x: Float32Array,
  targets: number,
  inputs: Positions,
  add: AddGradient | undefined
): Effect.Effect<Scores, Engine.EngineError> =>
  Effect.gen(function* () {
    const positions = sequences.positionsOf(context.sequence)
    const merged: Merged = {
      largest: new Float32Array(positions).fill(-Infinity),
      sumExp: new Float32Array(positions),
      logits: new Float32Array(positions * targets)
    }
    const own = { x, targets: inputs["targets"]! }
    yield* forEachPart(context, parts, targets, headPartScores, own, (outputs, _part, of) => {
      merge({ largest: of(merged.largest), sumExp: of(merged.sumExp), logits: of(merged.logits) }, outputs)
    })
    if (add !== undefined) yield* addGradients(context, parts, x, targets, inputs, merged, add)
    return toScores(merged, targets)
  })

const addGradients = (
  context: BlockContext,
  parts: ReadonlyArray<HeadPart>,
  x: Float32Array,
  targets: number,
  inputs: Positions,
  { largest, logits, sumExp }: Merged,
  add: AddGradient
): Effect.Effect<void, Engine.EngineError> =>
  Effect.gen(function* () {
    const logSumExp = sumExp.map((sum, i) => largest[i]! + Math.log(sum))
    const gradient = new Float32Array(x.length)
    const names = ["targets", ...lossGradInputs]
    const all = {
      ...Object.fromEntries(names.map((name) => [name, inputs[name]!])),
      x,
      logprobs: logits.map((logit, i) => logit - logSumExp[Math.floor(i / targets)]!),
      log_sum_exp: logSumExp
    }
    const rank = rankOf(context)
    yield* forEachPart(context, parts, targets, headPartGradient, all, ([ofX, a, b], part, of) => {
      addTo(of(gradient), ofX!)
      if (rank === 0) return
      add("lm_head.A", a!)
      add("lm_head.B", b!, part.first * rank)
    })
    x.set(gradient)
  })
