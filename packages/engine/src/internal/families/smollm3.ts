/** SmolLM3: a Llama in which some layers have no position embedding (NoPE), every fourth if the file does not say which. */
import type { Family } from "./family.ts"
import { type Json, positiveInteger, reject } from "./fields.ts"
import { hasWindow, slidingAttention } from "./sliding.ts"

/** Whether each layer has a rotary embedding. */
const ropeLayers = (raw: Json, layers: number): ReadonlyArray<boolean> => {
  const given = raw["no_rope_layers"] ?? undefined
  if (given === undefined) {
    const interval = positiveInteger(raw, "no_rope_layer_interval", 4)
    return Array.from({ length: layers }, (_, layer) => (layer + 1) % interval !== 0)
  }
  return Array.isArray(given) && given.length >= layers && given.every((value) => value === 0 || value === 1)
    ? given.slice(0, layers).map((value) => value === 1)
    : reject(`no_rope_layers must have 1 or 0 for each of the ${layers} layers`)
}

/** @internal */
export const smollm3: Family = {
  name: "smollm3",
  architecture: "SmolLM3ForCausalLM",
  defaults: { rope_theta: 2e6, max_position_embeddings: 32_768, tie_word_embeddings: true },
  traits: (raw, sizes) => {
    const hasRope = ropeLayers(raw, sizes.num_layers)
    return slidingAttention(
      raw["use_sliding_window"] === true ? raw : { ...raw, layer_types: undefined },
      sizes,
      (layer) => hasWindow(raw) && !hasRope[layer]!,
      (layer) => (hasRope[layer]! ? "global" : "none")
    )
  }
}
