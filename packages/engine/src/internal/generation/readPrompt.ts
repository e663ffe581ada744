/** Reads a prompt into the model: in one program, or in blocks where this would take too much memory. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type { BlockContext } from "../blocks/context.ts"
import * as head from "../blocks/head.ts"
import * as layers from "../blocks/layers.ts"
import * as sequences from "../blocks/sequence.ts"
import { causalMask } from "../model/attentionMask.ts"
import { embedTokens, type LoadedModel, type StoredWeights } from "../model/loaded.ts"
import * as memory from "../model/memory.ts"
import * as rope from "../model/rope.ts"
import { noAdapter } from "../programs/layerBlock.ts"
import { prefill } from "../programs/prefill.ts"
import { promptShape } from "./sampleMemory.ts"

/** A prompt that the model has read. @internal */
export interface ReadPrompt {
  readonly tokens: Int32Array
  /** of the last position, (vocab_size) */
  readonly lastLogits: Float32Array
  /** gives the logits of all positions but the last to a function, some positions at a time; if requested */
  readonly forEachLogits: ((read: head.ReadLogits) => Effect.Effect<void, Engine.EngineError>) | undefined
  /** for each layer keys and values, (positions, num_kv_heads, head_dim) */
  readonly keysAndValues: ReadonlyArray<Float32Array>
}

/** The embedded tokens and the tables of their positions, padded to a length. */
const promptInputs = (model: LoadedModel, tokens: Int32Array, length: number) => {
  const positions = Int32Array.from({ length }, (_, i) => (i < tokens.length ? i : 0))
  const x = new Float32Array(length * model.config.hidden_size)
  embedTokens(
    model,
    Array.from(tokens, (token, i) => [i, token] as const),
    x
  )
  return { x, ...rope.rowsAt(model.rope, positions) }
}

/** Runs the prefill program, on a length that is a power of two. */
const readWhole = (
  model: LoadedModel,
  weights: StoredWeights,
  tokens: Int32Array,
  length: number,
  wantsAllLogits: boolean
): Effect.Effect<ReadPrompt, Engine.EngineError> =>
  Effect.gen(function* () {
    const executable = yield* model.executor.compile(prefill(model.config, length, wantsAllLogits))
    const last = new Float32Array(length)
    last[tokens.length - 1] = 1
    const [logits, ...keysAndValues] = yield* executable.run({
      ...weights,
      ...promptInputs(model, tokens, length),
      mask: causalMask(1, length, [{ row: 0, column: 0, length: tokens.length }]),
      ...(wantsAllLogits ? {} : { last })
    })
    const { vocab_size } = model.config
    const end = (tokens.length - 1) * vocab_size
    return {
      tokens,
      lastLogits: wantsAllLogits ? logits!.subarray(end, end + vocab_size) : logits!,
      forEachLogits: wantsAllLogits ? (read) => Effect.sync(() => read(0, logits!.subarray(0, end))) : undefined,
      keysAndValues
    }
  })

const readInBlocks = (
  model: LoadedModel,
  weights: StoredWeights,
  tokens: Int32Array,
  length: number,
  wantsAllLogits: boolean
): Effect.Effect<ReadPrompt, Engine.EngineError> =>
  Effect.gen(function* () {
    const sequence = sequences.make(Math.min(model.blocks.size, length), [{ start: 0, length: tokens.length }])
    const { cos, sin, x } = promptInputs(model, tokens, sequences.positionsOf(sequence))
    const context: BlockContext = { model, weights, adapter: noAdapter, sequence, cos, sin, passes: 1 }
    const keysAndValues: Array<Float32Array> = []
    yield* layers.forward(context, x, (keys, values) => keysAndValues.push(keys, values))
    return {
      tokens,
      lastLogits: yield* head.logitsOf(context, x, tokens.length - 1),
      forEachLogits: wantsAllLogits ? (read) => head.forEachLogits(context, x, tokens.length - 1, read) : undefined,
      keysAndValues
    }
  })

/** Both ways give equal results up to rounding. @internal */
export const readPrompt = (
  model: LoadedModel,
  weights: StoredWeights,
  tokens: Int32Array,
  wantsAllLogits: boolean
): Effect.Effect<ReadPrompt, Engine.EngineError> => {
  const shape = promptShape(tokens.length, wantsAllLogits)
  const read = memory.runsWhole(model, shape) ? readWhole : readInBlocks
  return read(model, weights, tokens, shape.length, wantsAllLogits)
}
