/** The layers of the decoder, one at a time and block by block, forward and backward. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type { Executable } from "../executors/executor.ts"
import { gradientInput } from "../programs/layerBlock.ts"
import * as attention from "./attention.ts"
import {
  adapterNames,
  atLayer,
  type BlockContext,
  forwardPrograms,
  gradientPrograms,
  type LayerContext,
  layerWeights
} from "./context.ts"
import * as sequences from "./sequence.ts"

/** Projects the input of a layer (positions, hidden_size) to queries, keys and values. */
const project = (
  context: LayerContext,
  before: Executable,
  layer: number,
  x: Float32Array,
  { keys, queries, values }: attention.Projected
): Effect.Effect<void, Engine.EngineError> =>
  Effect.gen(function* () {
    const { cos, sequence, sin } = context
    const weights = layerWeights(context, layer, "before")
    for (let block = 0; block < sequence.count; block++) {
      const of = (all: Float32Array) => sequences.blockOf(sequence, all, block)
      yield* before.run({ ...weights, x: of(x), cos: of(cos), sin: of(sin) }, [of(queries), of(keys), of(values)])
    }
  })

/** The part of a layer after attention. Writes the output of the layer to `out`, which may be `x`. */
const finish = (
  context: BlockContext,
  after: Executable,
  layer: number,
  x: Float32Array,
  attended: Float32Array,
  out: Float32Array
): Effect.Effect<void, Engine.EngineError> =>
  Effect.gen(function* () {
    const { sequence } = context
    const weights = layerWeights(context, layer, "after")
    for (let block = 0; block < sequence.count; block++) {
      const of = (all: Float32Array) => sequences.blockOf(sequence, all, block)
      const [result] = yield* after.run({ ...weights, x: of(x), attended: of(attended) })
      of(out).set(result!)
    }
  })

/**
 * Runs all layers on `x` (positions, hidden_size), in place. Calls `keep` with the keys and values of each layer, which
 * belong to the callee.
 *
 * @internal
 */
export const forward = (
  context: BlockContext,
  x: Float32Array,
  keep: (keys: Float32Array, values: Float32Array) => void
): Effect.Effect<void, Engine.EngineError> =>
  Effect.gen(function* () {
    const { after, before, pair } = yield* forwardPrograms(context)
    const attended = attention.makeAttended(context)
    const queries = attention.makeQueries(context)
    for (let layer = 0; layer < context.model.config.num_layers; layer++) {
      const own = atLayer(context, layer)
      const projected = { ...attention.makeKeys(context), queries }
      yield* project(own, before, layer, x, projected)
      yield* attention.attend(own, pair, projected, attended)
      yield* finish(context, after, layer, x, attended.output, x)
      keep(projected.keys, projected.values)
    }
  })

/** What the backward pass reads of a layer: its input (positions, hidden_size), and its attention. @internal */
export interface LayerActivations {
  readonly x: Float32Array
  readonly attended: attention.Attended
}

/** What the forward pass leaves to the backward pass. @internal */
export interface Activations {
  readonly layers: ReadonlyArray<LayerActivations>
  /** of the last layer (positions, hidden_size) */
  readonly output: Float32Array
}

/** Runs all layers on `x` (positions, hidden_size), and keeps what the backward pass reads. @internal */
export const forwardKeeping = (
  context: BlockContext,
  x: Float32Array
): Effect.Effect<Activations, Engine.EngineError> =>
  Effect.gen(function* () {
    const { after, before, pair } = yield* forwardPrograms(context)
    const projected = attention.makeProjected(context)
    const layers: Array<LayerActivations> = []
    let input = x
    for (let layer = 0; layer < context.model.config.num_layers; layer++) {
      const own = atLayer(context, layer)
      const attended = attention.makeAttended(context)
      const output = new Float32Array(x.length)
      yield* project(own, before, layer, input, projected)
      yield* attention.attend(own, pair, projected, attended)
      yield* finish(context, after, layer, input, attended.output, output)
      layers.push({ x: input, attended })
      input = output
    }
    return { layers, output: input }
  })

/** Receives the gradient of a matrix of the adapter, of one block; of its values from `first` on, if it is of a part. @internal */
export type AddGradient = (name: string, gradient: Float32Array, first?: number) => void

/** The gradient of the part after attention: from that of the output of the layer, in place to that of its input. */
const finishGradient = (
  context: BlockContext,
  after: Executable,
  layer: number,
  { attended, x }: LayerActivations,
  gradient: Float32Array,
  attendedGradient: Float32Array,
  add: AddGradient
): Effect.Effect<void, Engine.EngineError> =>
  Effect.gen(function* () {
    const { sequence } = context
    const weights = layerWeights(context, layer, "after")
    const names = adapterNames(context, layer, "after")
    for (let block = 0; block < sequence.count; block++) {
      const of = (all: Float32Array) => sequences.blockOf(sequence, all, block)
      const inputs = { ...weights, x: of(x), attended: of(attended.output), [gradientInput(0)]: of(gradient) }
      const [ofX, ofAttended, ...ofAdapter] = yield* after.run(inputs)
      of(gradient).set(ofX!)
      of(attendedGradient).set(ofAttended!)
      names.forEach((name, i) => add(name, ofAdapter[i]!))
    }
  })

/** Adds the gradient of the part before attention to `gradient`. */
const projectGradient = (
  context: LayerContext,
  before: Executable,
  layer: number,
  { x }: LayerActivations,
  { keys, queries, values }: attention.Projected,
  gradient: Float32Array,
  add: AddGradient
): Effect.Effect<void, Engine.EngineError> =>
  Effect.gen(function* () {
    const { cos, sequence, sin } = context
    const weights = layerWeights(context, layer, "before")
    const names = adapterNames(context, layer, "before")
    for (let block = 0; block < sequence.count; block++) {
      const of = (all: Float32Array) => sequences.blockOf(sequence, all, block)
      const outputs = [queries, keys, values].map((all, i) => [gradientInput(i), of(all)] as const)
      const inputs = { ...weights, x: of(x), cos: of(cos), sin: of(sin), ...Object.fromEntries(outputs) }
      const [ofX, ...ofAdapter] = yield* before.run(inputs)
      attention.addTo(of(gradient), ofX!)
      names.forEach((name, i) => add(name, ofAdapter[i]!))
    }
  })

/**
 * The gradients of the adapter in all layers, from the gradient of the output of the last layer (positions,
 * hidden_size), which is overwritten.
 *
 * @internal
 */
export const backward = (
  context: BlockContext,
  activations: Activations,
  gradient: Float32Array,
  add: AddGradient
): Effect.Effect<void, Engine.EngineError> =>
  Effect.gen(function* () {
    const { before } = yield* forwardPrograms(context)
    const gradients = yield* gradientPrograms(context)
    const projected = attention.makeProjected(context)
    const projectedGradient = attention.makeProjected(context)
    const attendedGradient = attention.makeQueries(context)
    for (let layer = context.model.config.num_layers - 1; layer >= 0; layer--) {
      const own = atLayer(context, layer)
      const kept = activations.layers[layer]!
      yield* finishGradient(context, gradients.after, layer, kept, gradient, attendedGradient, add)
      yield* project(own, before, layer, kept.x, projected)
      yield* attention.attendGradient(
        own,
        gradients.pair,
        projected,
        kept.attended,
        attendedGradient,
        projectedGradient
      )
      yield* projectGradient(own, gradients.before, layer, kept, projectedGradient, gradient, add)
    }
  })
