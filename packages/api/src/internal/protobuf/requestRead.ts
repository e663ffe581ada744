/** `ForwardBackwardRequest`: reading it. */
import type * as Datum from "../../Datum.ts"
import type * as ModelInput from "../../ModelInput.ts"
import type * as TensorData from "../../TensorData.ts"
import * as arrays from "./arrays.ts"
import * as R from "./reader.ts"
import type { ForwardBackwardMessage } from "./requestMessage.ts"
import * as tensor from "./tensor.ts"

const nothing: Uint8Array = new Uint8Array(0)

// The members of the union of chunks, by their field numbers.
const NONE = 0
const TEXT = 1
const IMAGE = 2
const DMEL = 3

interface RawChunk {
  kind: typeof NONE | typeof TEXT | typeof IMAGE | typeof DMEL
  bytes: Uint8Array
  format: string
  expected_tokens?: number
  dimensions?: { width: number; height: number }
}

const emptyChunk = (kind: RawChunk["kind"]): RawChunk => ({ kind, bytes: nothing, format: "" })

const readImageField = (r: R.Reader, into: RawChunk): void => {
  if (r.field === 2 && r.wire === R.LEN) into.format = r.text("an image's format")
  else if (r.field === 3 && r.wire === R.VARINT) into.expected_tokens = r.int32()
  else if (r.field === 4 && r.wire === R.LEN) {
    const dimensions = (into.dimensions ??= { width: 0, height: 0 })
    r.message(() => {
      if (r.field === 1 && r.wire === R.VARINT) dimensions.width = r.uint32()
      else if (r.field === 2 && r.wire === R.VARINT) dimensions.height = r.uint32()
      else r.skip()
    })
  } else r.skip()
}

const readChunk = (r: R.Reader): RawChunk => {
  let chunk = emptyChunk(NONE)
  r.message(() => {
    const { field } = r
    if (r.wire !== R.LEN || (field !== TEXT && field !== IMAGE && field !== DMEL)) return r.skip()
    // Another member of the union replaces an earlier one; the same member again is merged into it.
    if (chunk.kind !== field) chunk = emptyChunk(field)
    const into = chunk
    r.message(() => {
      if (r.field === 1 && r.wire === R.LEN) into.bytes = r.content()
      else if (field === IMAGE) readImageField(r, into)
      else r.skip()
    })
  })
  return chunk
}

const finishImage = ({ bytes, dimensions, expected_tokens, format }: RawChunk, what: string): ModelInput.ImageChunk => {
  if (format !== "png" && format !== "jpeg") {
    return R.invalid(`${what} has the format ${JSON.stringify(format)}, not png or jpeg`)
  }
  if (expected_tokens !== undefined && expected_tokens < 0) R.invalid(`${what} has expected_tokens below 0`)
  return {
    type: "image",
    data: bytes,
    format,
    ...(expected_tokens === undefined ? {} : { expected_tokens }),
    ...(dimensions === undefined ? {} : { override_dimensions: dimensions })
  }
}

const finishChunk = (chunk: RawChunk, what: string): ModelInput.Chunk => {
  switch (chunk.kind) {
    case NONE:
      return R.invalid(`${what} is of an unknown kind`)
    case TEXT:
      if (chunk.bytes.length % 4 !== 0)
        R.invalid(`${what} has ${chunk.bytes.length} bytes, not a whole number of tokens`)
      return { type: "encoded_text", tokens: arrays.int32Of(chunk.bytes) }
    case IMAGE:
      return finishImage(chunk, what)
    case DMEL:
      return { type: "dmel", dmel: chunk.bytes }
  }
}

const readSpan = (r: R.Reader, what: string): Datum.Span => {
  let type: Datum.Span["type"] | undefined
  let span = { sequence_id: "", offset: 0, length: 0 }
  r.message(() => {
    const found = r.field === 1 ? "prompt" : r.field === 2 ? "sampled" : undefined
    if (r.wire !== R.LEN || found === undefined) return r.skip()
    if (type !== found) span = { sequence_id: "", offset: 0, length: 0 }
    type = found
    r.message(() => {
      if (r.field === 1 && r.wire === R.LEN) span.sequence_id = r.text(`${what}.sequence_id`)
      else if (r.field === 2 && r.wire === R.VARINT) span.offset = r.size(`${what}.offset`)
      else if (r.field === 3 && r.wire === R.VARINT) span.length = r.size(`${what}.length`)
      else r.skip()
    })
  })
  return type === undefined ? R.invalid(`${what} is of an unknown kind`) : { type, ...span }
}

const readLossInput = (r: R.Reader, what: string): readonly [string, TensorData.TensorData] => {
  let key = ""
  const value = tensor.raw()
  r.message(() => {
    if (r.field === 1 && r.wire === R.LEN) key = r.text(what)
    else if (r.field === 2 && r.wire === R.LEN) tensor.read(r, value)
    else r.skip()
  })
  return [key, tensor.finish(value, `${what}.${key}`)]
}

const readDatum = (r: R.Reader, what: string): Datum.Datum => {
  const chunks: Array<ModelInput.Chunk> = []
  const inputs: Array<readonly [string, TensorData.TensorData]> = []
  const spans: { input: Array<Datum.Span>; loss: Array<Datum.Span> } = { input: [], loss: [] }
  r.message(() => {
    if (r.wire !== R.LEN) return r.skip()
    switch (r.field) {
      case 1:
        chunks.push(finishChunk(readChunk(r), `${what}.model_input.chunks[${chunks.length}]`))
        return
      case 2:
        inputs.push(readLossInput(r, `${what}.loss_fn_inputs`))
        return
      case 3:
        spans.input.push(readSpan(r, `${what}.model_input_spans[${spans.input.length}]`))
        return
      case 4:
        spans.loss.push(readSpan(r, `${what}.loss_fn_input_spans[${spans.loss.length}]`))
        return
      default:
        return r.skip()
    }
  })
  return {
    model_input: { chunks },
    loss_fn_inputs: Object.fromEntries(inputs),
    ...(spans.input.length === 0 && spans.loss.length === 0
      ? {}
      : { model_input_spans: spans.input, loss_fn_input_spans: spans.loss })
  }
}

/** An entry of `loss_fn_config`, which contains numbers only. */
const readNumericConfigEntry = (r: R.Reader): readonly [string, number] => {
  let key = ""
  let value = 0
  r.message(() => {
    if (r.field === 1 && r.wire === R.LEN) key = r.text("loss_fn_config")
    else if (r.field === 2 && r.wire === R.I64) value = r.double()
    else r.skip()
  })
  return [key, value]
}

/** An entry of `loss_fn_config_v2`, which contains numbers and strings. */
const readConfigEntry = (r: R.Reader): readonly [string, number | string] => {
  let key = ""
  let value: number | string | undefined
  r.message(() => {
    if (r.field === 1 && r.wire === R.LEN) key = r.text("loss_fn_config_v2")
    else if (r.field === 2 && r.wire === R.LEN) {
      r.message(() => {
        if (r.field === 1 && r.wire === R.I64) value = r.double()
        else if (r.field === 2 && r.wire === R.LEN) value = r.text(`loss_fn_config_v2.${key}`)
        else r.skip()
      })
    } else r.skip()
  })
  return [key, value ?? R.invalid(`loss_fn_config_v2.${key} has no value`)]
}

/** @internal */
export const decode = (bytes: Uint8Array): ForwardBackwardMessage => {
  const r = new R.Reader(bytes)
  const out = { model_id: "", seq_id: 0, loss_fn: "", forward_only: false }
  const data: Array<Datum.Datum> = []
  const numbers: Array<readonly [string, number]> = []
  const values: Array<readonly [string, number | string]> = []
  while (r.next()) {
    if (r.field === 1 && r.wire === R.LEN) out.model_id = r.text("model_id")
    else if (r.field === 2 && r.wire === R.VARINT) out.seq_id = r.int32()
    else if (r.field === 3 && r.wire === R.LEN) data.push(readDatum(r, `data[${data.length}]`))
    else if (r.field === 4 && r.wire === R.LEN) out.loss_fn = r.text("loss_fn")
    else if (r.field === 5 && r.wire === R.LEN) numbers.push(readNumericConfigEntry(r))
    else if (r.field === 6 && r.wire === R.VARINT) out.forward_only = r.bool()
    else if (r.field === 7 && r.wire === R.LEN) values.push(readConfigEntry(r))
    else r.skip()
  }
  // Servers and clients before `loss_fn_config_v2` read and write `loss_fn_config` alone.
  return { ...out, data, loss_fn_config: Object.fromEntries(values.length > 0 ? values : numbers) }
}
