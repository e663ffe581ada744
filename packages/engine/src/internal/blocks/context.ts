/** What a run in blocks needs: the model, its programs, and the weights of each layer. */
import * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type { Executable, Inputs } from "../executors/executor.ts"
import type { LoadedModel } from "../model/loaded.ts"
import { attentionPair, attentionPairGradient } from "../programs/attentionPair.ts"
import type { AdapterShape } from "../programs/inputs.ts"
import { adapterInputs, layerBlock, layerBlockGradient, type LayerPart, weightInputs } from "../programs/layerBlock.ts"
import { inputNames, type RopeRows } from "../model/rope.ts"
import type { BlockedSequence } from "./sequence.ts"
import * as sequences from "./sequence.ts"

/** The programs of the layers. All layers share them. */
interface LayerPrograms {
  readonly before: Executable
  readonly pair: Executable
  readonly after: Executable
}

/** @internal */
export interface BlockContext {
  readonly model: LoadedModel
  /** weights, and the adapter with its scaling, by their names */
  readonly weights: Inputs
  readonly adapter: AdapterShape
  readonly sequence: BlockedSequence
  /** cosines and sines, (positions, head_dim) */
  readonly ropes: RopeRows
  /** how many times the layers are run: twice with a backward pass */
  readonly passes: 1 | 2
}

/** Lets others have their turn on the engine, after attention of a block of queries. @internal */
export const yieldTurn = ({ model, passes, sequence }: BlockContext): Effect.Effect<void> =>
  Engine.yieldTurn(sequence.size / (model.config.num_layers * passes))

/** Compiles the programs of a layer for the blocks of a sequence. */
const compileLayer = (
  { adapter, model: { config, executor }, sequence }: BlockContext,
  part: typeof layerBlock,
  pair: typeof attentionPair
): Effect.Effect<LayerPrograms, Engine.EngineError> =>
  Effect.all({
    before: executor.compile(part(config, "before", sequence.size, adapter)),
    pair: executor.compile(pair(config, sequence.size)),
    after: executor.compile(part(config, "after", sequence.size, adapter))
  })

/** @internal */
export const forwardPrograms = (context: BlockContext): Effect.Effect<LayerPrograms, Engine.EngineError> =>
  compileLayer(context, layerBlock, attentionPair)

/** @internal */
export const gradientPrograms = (context: BlockContext): Effect.Effect<LayerPrograms, Engine.EngineError> =>
  compileLayer(context, layerBlockGradient, attentionPairGradient)

/** Where a layer differs from others: what its positions see, and its cosines and sines (positions, head_dim). @internal */
export interface LayerContext extends BlockContext {
  readonly cos: Float32Array
  readonly sin: Float32Array
}

/** @internal */
export const atLayer = (context: BlockContext, layer: number): LayerContext => {
  const { model, ropes, sequence } = context
  const { isSliding, rope } = model.config.layers[layer]!
  // without a rotary embedding, heads are turned by an angle of 0
  const size = sequences.positionsOf(sequence) * model.config.head_dim
  const names = inputNames(rope === "none" ? "global" : rope)
  return {
    ...context,
    sequence: isSliding ? sequences.withWindow(sequence, model.config.sliding_window!) : sequence,
    cos: rope === "none" ? new Float32Array(size).fill(1) : ropes[names.cos]!,
    sin: rope === "none" ? new Float32Array(size) : ropes[names.sin]!
  }
}

/** The name that an input of the programs has in a layer. */
const nameIn = (layer: number, input: string): string => input.replace("model.layers.0.", `model.layers.${layer}.`)

/** The weights and the adapter of a part of a layer, as inputs of its programs. @internal */
export const layerWeights = ({ adapter, model, weights }: BlockContext, layer: number, part: LayerPart): Inputs => {
  const names = [
    ...Object.keys(weightInputs(model.config, part)),
    ...Object.keys(adapterInputs(model.config, part, adapter))
  ]
  return {
    ...Object.fromEntries(names.map((name) => [name, weights[nameIn(layer, name)]!])),
    ...(adapter.rank === 0 ? {} : { scaling: weights["scaling"]! })
  }
}

/** The names of the adapter's matrices in a part of a layer, in the order in which gradients are returned. @internal */
export const adapterNames = ({ adapter, model }: BlockContext, layer: number, part: LayerPart): ReadonlyArray<string> =>
  Object.keys(adapterInputs(model.config, part, adapter)).map((name) => nameIn(layer, name))
