/**
 * The programs of one layer on a block of positions: the parts before and after attention, and their gradients.
 *
 * All layers share them: their inputs have the names of layer 0, and the caller gives the weights of another layer, and
 * its cosines and sines, by these names. The gradients compute their part of the forward pass again, so that it need not be kept.
 */
import { vjp } from "@jax-js/jax"
import type { ModelConfig } from "../../ModelConfig.ts"
import type { Program, TensorSpec, Traced } from "../executors/executor.ts"
import * as architecture from "../model/architecture.ts"
import { inputNames } from "../model/rope.ts"
import { afterAttention, attentionInputs, loraProjection, type TracedInputs } from "../model/transformer.ts"
import {
  adapterSpecs,
  type AdapterShape,
  disposeAll,
  float32,
  type InputSpecs,
  programKey,
  splitInputs
} from "./inputs.ts"

/** @internal */
export type LayerPart = "before" | "after"

const isAfter = (name: string): boolean => /o_proj|post_attention_layernorm|feedforward_layernorm|mlp/.test(name)

const isIn = (part: LayerPart, name: string): boolean =>
  name.startsWith("model.layers.0.") && isAfter(name) === (part === "after")

const linearsOf = (config: ModelConfig, part: LayerPart): ReadonlyArray<architecture.Linear> =>
  architecture.linears(config).filter(({ name }) => isIn(part, name))

/** The names of the weights of a part of a layer, as inputs of its programs. @internal */
export const weightInputs = (config: ModelConfig, part: LayerPart): InputSpecs => {
  const specs: Record<string, TensorSpec> = {}
  const vectors = [...architecture.norms(config), ...architecture.biases(config)]
  for (const [name, length] of vectors) if (isIn(part, name)) specs[name] = float32(length)
  for (const linear of linearsOf(config, part)) specs[`${linear.name}.weight`] = float32(linear.out, linear.in)
  return specs
}

/** The inputs with the matrices of the adapter in a part of a layer. @internal */
export const adapterInputs = (config: ModelConfig, part: LayerPart, adapter: AdapterShape): InputSpecs =>
  adapterSpecs(
    linearsOf(config, part).filter((linear) => adapter.parts.includes(linear.part)),
    adapter.rank
  )

const partSpecs = (config: ModelConfig, part: LayerPart, block: number, adapter: AdapterShape): InputSpecs => {
  const { head_dim, hidden_size, num_heads } = config
  return {
    ...weightInputs(config, part),
    ...adapterInputs(config, part, adapter),
    ...(adapter.rank === 0 ? {} : { scaling: float32() }),
    x: float32(block, hidden_size),
    ...(part === "before"
      ? { cos: float32(block, 1, head_dim), sin: float32(block, 1, head_dim) }
      : { attended: float32(block, num_heads, head_dim) })
  }
}

/** The shapes of the outputs of a part. */
const outputSpecs = (config: ModelConfig, part: LayerPart, block: number): ReadonlyArray<TensorSpec> => {
  const { head_dim, hidden_size, num_heads, num_kv_heads } = config
  const keys = float32(block, num_kv_heads, head_dim)
  return part === "before" ? [float32(block, num_heads, head_dim), keys, keys] : [float32(block, hidden_size)]
}

const tracePart = (config: ModelConfig, part: LayerPart, inputs: TracedInputs): Array<Traced> => {
  const project = loraProjection(config, inputs, inputs)
  const x = inputs["x"]!.ref
  if (part === "after") return [afterAttention(config, inputs, 0, x, inputs["attended"]!.ref, project)]
  const { keys, queries, values } = attentionInputs(config, inputs, 0, x, project, inputNames("global"))
  return [queries, keys, values]
}

const keyOf = (kind: string, config: ModelConfig, part: LayerPart, block: number, adapter: AdapterShape): string =>
  programKey(kind, config, part, block, adapter.rank, adapter.parts.join("+"))

/**
 * A part of a layer, on `block` positions.
 *
 * Inputs besides the weights and the adapter: `x` (block, hidden_size); before attention `cos` and `sin` (block, 1,
 * head_dim); after attention `attended` (block, num_heads, head_dim). With an adapter also `scaling`.
 *
 * Outputs: before attention the queries (block, num_heads, head_dim), the keys and the values (block, num_kv_heads,
 * head_dim); after attention the output of the layer (block, hidden_size).
 *
 * @internal
 */
export const layerBlock = (config: ModelConfig, part: LayerPart, block: number, adapter: AdapterShape): Program => ({
  key: keyOf("layer_block", config, part, block, adapter),
  inputs: partSpecs(config, part, block, adapter),
  trace: (inputs) => {
    const outputs = tracePart(config, part, inputs)
    disposeAll(inputs)
    return outputs
  }
})

/** The name of the input with the gradient of an output of a part. @internal */
export const gradientInput = (output: number): string => `gradient.${output}`

/**
 * The gradient of a part of a layer.
 *
 * Inputs: those of `layerBlock`, and the gradient of each of its outputs, by `gradientInput`.
 *
 * Outputs: the gradient of `x`; after attention that of `attended`; then those of the adapter, A before B.
 *
 * @internal
 */
export const layerBlockGradient = (
  config: ModelConfig,
  part: LayerPart,
  block: number,
  adapter: AdapterShape
): Program => {
  const gradients = outputSpecs(config, part, block).map((spec, i) => [gradientInput(i), spec] as const)
  const adapterNames = Object.keys(adapterInputs(config, part, adapter))
  const names = ["x", ...(part === "after" ? ["attended"] : []), ...adapterNames]
  return {
    key: keyOf("layer_block_gradient", config, part, block, adapter),
    inputs: { ...partSpecs(config, part, block, adapter), ...Object.fromEntries(gradients) },
    trace: (all) => {
      const { chosen, inputs } = splitInputs(all, names)
      const [outputs, transposed] = vjp(
        (differentiated: TracedInputs) => {
          const traced = tracePart(config, part, { ...inputs, ...differentiated })
          disposeAll(differentiated)
          return traced
        },
        [chosen as Record<string, Traced>]
      )
      for (const output of outputs) output.dispose()
      const [found] = transposed(gradients.map(([name]) => inputs[name]!.ref))
      transposed.dispose()
      disposeAll(inputs)
      return names.map((name) => found[name]!)
    }
  }
}
