/** Estimates the size of requests, for limits on the bytes that are sent at once. */
import type * as Datum from "@effect-tinker/api/Datum"
import type * as ModelInput from "@effect-tinker/api/ModelInput"

const inputBytes = (input: ModelInput.ModelInput, bytesPerToken: number): number => {
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

/** A prompt, which is sent as JSON: ten bytes per token. @internal */
export const promptBytes = (prompt: ModelInput.ModelInput): number => inputBytes(prompt, 10)

/** A datum, which is sent as protobuf: four bytes per token, and the bytes of its tensors. @internal */
export const datumBytes = (datum: Datum.Datum): number => {
  let bytes = inputBytes(datum.model_input, 4)
  for (const tensor of Object.values(datum.loss_fn_inputs)) {
    bytes += (tensor.dtype === "int64" ? 8 : 4) * tensor.data.length
    bytes += 8 * ((tensor.sparse_crow_indices?.length ?? 0) + (tensor.sparse_col_indices?.length ?? 0))
  }
  return bytes
}
