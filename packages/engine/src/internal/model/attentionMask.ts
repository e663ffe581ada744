/** Attention masks, which are added to the attention scores. */
import type { LayerAttention } from "../../ModelConfig.ts"

/** The score of a masked position: its softmax weight is 0. @internal */
export const maskedScore = -1e9

/** The name of the input with the mask of a layer. @internal */
export const maskInput = (layer: LayerAttention): string => (layer.isSliding ? "mask.sliding" : "mask")

/** A sequence within a batch of rows: its row, first column and number of tokens. */
interface Span {
  readonly row: number
  readonly column: number
  readonly length: number
}

/**
 * The causal mask (rows, length, length) of a batch whose rows hold several sequences: 0 from each position to itself
 * and to earlier positions of its sequence, and `maskedScore` elsewhere. Padding attends to itself only. With a
 * `window`, a position attends to so many positions, itself included.
 *
 * @internal
 */
export const causalMask = (
  rows: number,
  length: number,
  spans: ReadonlyArray<Span>,
  window = Infinity
): Float32Array => {
  const mask = new Float32Array(rows * length * length).fill(maskedScore)
  for (let position = 0; position < rows * length; position++) mask[position * length + (position % length)] = 0
  for (const span of spans) {
    for (let i = span.column; i < span.column + span.length; i++) {
      const start = (span.row * length + i) * length
      mask.fill(0, start + Math.max(span.column, i - window + 1), start + i + 1)
    }
  }
  return mask
}
