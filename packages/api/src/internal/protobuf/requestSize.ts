/** `ForwardBackwardRequest`: the sizes of its parts, which must be known before anything is written. */
import type * as Datum from "../../Datum.ts"
import type * as LossFn from "../../LossFn.ts"
import type * as ModelInput from "../../ModelInput.ts"
import * as tensor from "./tensor.ts"
import * as W from "./writer.ts"

/** @internal */
export const dimensionsSize = ({ height, width }: { readonly width: number; readonly height: number }): number =>
  W.implicitVarintSize(width) + W.implicitVarintSize(height)

/** @internal */
export const innerChunkSize = (chunk: ModelInput.Chunk): number => {
  switch (chunk.type) {
    case "encoded_text":
      return W.implicitSize(4 * chunk.tokens.length)
    case "dmel":
      return W.implicitSize(chunk.dmel.length)
    case "image":
      return (
        W.implicitSize(chunk.data.length) +
        W.bytesSize(chunk.format.length) +
        (chunk.expected_tokens === undefined ? 0 : 1 + W.varintSize(chunk.expected_tokens)) +
        (chunk.override_dimensions === undefined ? 0 : W.bytesSize(dimensionsSize(chunk.override_dimensions)))
      )
    case "image_asset_pointer":
      return 0
  }
}

/** @internal */
export const chunkSize = (chunk: ModelInput.Chunk): number => W.bytesSize(innerChunkSize(chunk))

/** @internal */
export const entrySize = (key: Uint8Array, value: number): number => W.implicitSize(key.length) + value

/** @internal */
export const spanSize = (span: Datum.Span, texts: W.Texts): number =>
  W.implicitSize(texts.utf8(span.sequence_id).length) +
  W.implicitVarintSize(span.offset) +
  W.implicitVarintSize(span.length)

/** @internal */
export const datumSize = (datum: Datum.Datum, texts: W.Texts): number => {
  let size = 0
  for (const chunk of datum.model_input.chunks) size += W.bytesSize(chunkSize(chunk))
  for (const name of Object.keys(datum.loss_fn_inputs)) {
    size += W.bytesSize(entrySize(texts.utf8(name), W.bytesSize(tensor.size(datum.loss_fn_inputs[name]!))))
  }
  for (const span of datum.model_input_spans ?? []) size += W.bytesSize(W.bytesSize(spanSize(span, texts)))
  for (const span of datum.loss_fn_input_spans ?? []) size += W.bytesSize(W.bytesSize(spanSize(span, texts)))
  return size
}

/** @internal */
export const configValueSize = (value: number | string, texts: W.Texts): number =>
  typeof value === "number" ? 9 : W.bytesSize(texts.utf8(value).length)

/** @internal */
export const configSize = (config: LossFn.Config, texts: W.Texts): number => {
  let size = 0
  for (const [name, value] of Object.entries(config)) {
    const key = texts.utf8(name)
    if (typeof value === "number") size += W.bytesSize(entrySize(key, 9))
    size += W.bytesSize(entrySize(key, W.bytesSize(configValueSize(value, texts))))
  }
  return size
}
