/** `ForwardBackwardRequest`: writing it into one buffer. */
import type * as Datum from "../../Datum.ts"
import type * as LossFn from "../../LossFn.ts"
import type * as ModelInput from "../../ModelInput.ts"
import * as arrays from "./arrays.ts"
import type { ForwardBackwardMessage } from "./requestMessage.ts"
import * as size from "./requestSize.ts"
import * as tensor from "./tensor.ts"
import * as W from "./writer.ts"

const writeDimensions = (w: W.Writer, { height, width }: { readonly width: number; readonly height: number }): void => {
  w.implicitVarint(1, width)
  w.implicitVarint(2, height)
}

const writeChunk = (w: W.Writer, chunk: ModelInput.Chunk, texts: W.Texts): void => {
  switch (chunk.type) {
    case "encoded_text":
      w.open(1, size.innerChunkSize(chunk))
      return w.implicitContent(1, arrays.bytesOf(chunk.tokens))
    case "dmel":
      w.open(3, size.innerChunkSize(chunk))
      return w.implicitContent(1, chunk.dmel)
    case "image":
      w.open(2, size.innerChunkSize(chunk))
      w.implicitContent(1, chunk.data)
      w.content(2, texts.utf8(chunk.format))
      if (chunk.expected_tokens !== undefined) w.explicitVarint(3, chunk.expected_tokens)
      if (chunk.override_dimensions !== undefined) {
        w.open(4, size.dimensionsSize(chunk.override_dimensions))
        writeDimensions(w, chunk.override_dimensions)
      }
  }
}

const writeSpans = (w: W.Writer, field: number, spans: ReadonlyArray<Datum.Span>, texts: W.Texts): void => {
  for (const span of spans) {
    const spanSize = size.spanSize(span, texts)
    w.open(field, W.bytesSize(spanSize))
    w.open(span.type === "prompt" ? 1 : 2, spanSize)
    w.implicitContent(1, texts.utf8(span.sequence_id))
    w.implicitVarint(2, span.offset)
    w.implicitVarint(3, span.length)
  }
}

const writeDatum = (w: W.Writer, datum: Datum.Datum, texts: W.Texts): void => {
  for (const chunk of datum.model_input.chunks) {
    w.open(1, size.chunkSize(chunk))
    writeChunk(w, chunk, texts)
  }
  for (const name of Object.keys(datum.loss_fn_inputs)) {
    const input = datum.loss_fn_inputs[name]!
    const key = texts.utf8(name)
    const tensorSize = tensor.size(input)
    w.open(2, size.entrySize(key, W.bytesSize(tensorSize)))
    w.implicitContent(1, key)
    w.open(2, tensorSize)
    tensor.write(w, input)
  }
  writeSpans(w, 3, datum.model_input_spans ?? [], texts)
  writeSpans(w, 4, datum.loss_fn_input_spans ?? [], texts)
}

const writeNumericConfig = (w: W.Writer, config: LossFn.Config, texts: W.Texts): void => {
  for (const [name, value] of Object.entries(config)) {
    if (typeof value !== "number") continue
    const key = texts.utf8(name)
    w.open(5, size.entrySize(key, 9))
    w.implicitContent(1, key)
    w.double(2, value)
  }
}

const writeConfig = (w: W.Writer, config: LossFn.Config, texts: W.Texts): void => {
  for (const [name, value] of Object.entries(config)) {
    const key = texts.utf8(name)
    const valueSize = size.configValueSize(value, texts)
    w.open(7, size.entrySize(key, W.bytesSize(valueSize)))
    w.implicitContent(1, key)
    w.open(2, valueSize)
    if (typeof value === "number") w.double(1, value)
    else w.content(2, texts.utf8(value))
  }
}

/** The bytes of a message that has no `problem`. @internal */
export const encode = (message: ForwardBackwardMessage, into?: Uint8Array): Uint8Array => {
  const texts = new W.Texts()
  const model = texts.utf8(message.model_id)
  const loss = texts.utf8(message.loss_fn)
  const sizes = new Float64Array(message.data.length)
  let total =
    W.implicitSize(model.length) +
    W.implicitVarintSize(message.seq_id) +
    W.implicitSize(loss.length) +
    size.configSize(message.loss_fn_config, texts) +
    (message.forward_only ? 2 : 0)
  for (let i = 0; i < sizes.length; i++) {
    sizes[i] = size.datumSize(message.data[i]!, texts)
    total += W.bytesSize(sizes[i]!)
  }
  const w = new W.Writer(total, into)
  w.implicitContent(1, model)
  w.implicitVarint(2, message.seq_id)
  for (let i = 0; i < sizes.length; i++) {
    w.open(3, sizes[i]!)
    writeDatum(w, message.data[i]!, texts)
  }
  w.implicitContent(4, loss)
  writeNumericConfig(w, message.loss_fn_config, texts)
  if (message.forward_only) w.explicitVarint(6, 1)
  writeConfig(w, message.loss_fn_config, texts)
  return w.bytes
}
