/** Layers that attend to the last positions alone. */
import type { LayerAttention } from "../../ModelConfig.ts"
import { type Json, positiveInteger, reject, show } from "./fields.ts"
import type { Sizes, Traits } from "./family.ts"

/** Which layers have a sliding window, by `layer_types` where it is given. */
const slidingLayers = (raw: Json, layers: number, byDefault: (layer: number) => boolean): ReadonlyArray<boolean> => {
  const types = raw["layer_types"] ?? undefined
  if (types === undefined) return Array.from({ length: layers }, (_, layer) => byDefault(layer))
  if (!Array.isArray(types) || types.length !== layers) return reject(`layer_types must have ${layers} entries`)
  return types.map((type) => {
    if (type !== "full_attention" && type !== "sliding_attention") {
      return reject(`layer_types has ${show(type)}: supported are full_attention and sliding_attention`)
    }
    return type === "sliding_attention"
  })
}

/**
 * The attention of all layers. A window as long as the context is none. `ropeOf` says which rotary embedding a layer has.
 *
 * @internal
 */
export const slidingAttention = (
  raw: Json,
  { max_position_embeddings, num_layers }: Sizes,
  byDefault: (layer: number) => boolean,
  ropeOf: (layer: number, isSliding: boolean) => LayerAttention["rope"] = () => "global"
): Pick<Traits, "layers" | "sliding_window"> => {
  const isSliding = slidingLayers(raw, num_layers, byDefault)
  const layersWith = (hasWindow: boolean) =>
    isSliding.map((sliding, layer) => ({ isSliding: sliding && hasWindow, rope: ropeOf(layer, sliding) }))
  if (!isSliding.includes(true)) return { layers: layersWith(false), sliding_window: undefined }
  const window = positiveInteger(raw, "sliding_window")
  return window >= max_position_embeddings
    ? { layers: layersWith(false), sliding_window: undefined }
    : { layers: layersWith(true), sliding_window: window }
}

/** Whether a window is switched on: `use_sliding_window` switches it off where the field says nothing. @internal */
export const hasWindow = (raw: Json): boolean =>
  raw["use_sliding_window"] === true && typeof raw["sliding_window"] === "number" && raw["sliding_window"] > 0

/** The same window in all layers, or none: such families have no `layer_types`. @internal */
export const uniformAttention = (raw: Json, sizes: Sizes): Pick<Traits, "layers" | "sliding_window"> =>
  slidingAttention({ ...raw, layer_types: undefined }, sizes, () => (raw["sliding_window"] ?? undefined) !== undefined)
