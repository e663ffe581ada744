import type * as Datum from "@effect-tinker/api/Datum"
import type * as ModelInput from "@effect-tinker/api/ModelInput"

/** @internal */
export interface Limits {
  readonly maxLength: number
  readonly maxBytes: number
}

const estimateInput = (input: ModelInput.ModelInput, bytesPerToken: number): number => {
  let bytes = 0
  for (const chunk of input.chunks) {
    switch (chunk.type) {
      case "encoded_text":
        bytes += bytesPerToken * chunk.tokens.length
        break
      case "image":
        bytes += chunk.data.byteLength
        break
      case "dmel":
        bytes += chunk.dmel.byteLength
        break
      case "image_asset_pointer":
        bytes += chunk.location.length
        break
    }
  }
  return bytes
}

/** The bytes that a prompt is counted as: it goes as JSON. @internal */
export const estimatePrompt = (prompt: ModelInput.ModelInput): number => estimateInput(prompt, 10)

/** The bytes that a datum is counted as; images and sound count as their files do. @internal */
export const estimate = (datum: Datum.Datum): number => {
  let bytes = estimateInput(datum.model_input, 4)
  for (const tensor of Object.values(datum.loss_fn_inputs)) {
    bytes += (tensor.dtype === "int64" ? 8 : 4) * tensor.data.length
    bytes += 8 * ((tensor.sparse_crow_indices?.length ?? 0) + (tensor.sparse_col_indices?.length ?? 0))
  }
  return bytes
}

/** Cuts a batch in order, greedily; a datum above the byte limit stands alone. @internal */
export const chunk = <D extends Datum.Datum>(data: ReadonlyArray<D>, limits: Limits): Array<Array<D>> => {
  const chunks: Array<Array<D>> = []
  let current: Array<D> = []
  let bytes = 0
  for (const datum of data) {
    const size = estimate(datum)
    if (current.length > 0 && (current.length >= limits.maxLength || bytes + size > limits.maxBytes)) {
      chunks.push(current)
      current = []
      bytes = 0
    }
    current.push(datum)
    bytes += size
  }
  if (current.length > 0) chunks.push(current)
  return chunks
}
