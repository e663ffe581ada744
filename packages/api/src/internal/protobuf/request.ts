/** `ForwardBackwardRequest`: a pass over data. */
import type * as Datum from "../../Datum.ts"
import type * as LossFn from "../../LossFn.ts"
import type * as ModelInput from "../../ModelInput.ts"
import * as TensorData from "../../TensorData.ts"
import * as arrays from "./arrays.ts"
import * as R from "./reader.ts"
import * as tensor from "./tensor.ts"
import * as W from "./writer.ts"

/** What a pass consists of, whichever direction it runs in. @internal */
export interface Pass {
  readonly model_id: string
  readonly seq_id: number
  readonly data: ReadonlyArray<Datum.Datum>
  readonly loss_fn: string
  readonly loss_fn_config: LossFn.Config
  readonly forward_only: boolean
}

/** What cannot be written, and where it stands. @internal */
export interface Refusal {
  readonly path: string
  readonly reason: string
}

const maxInt32 = 0x7fffffff

const notInt32 = (value: number): boolean => !Number.isInteger(value) || value < 0 || value > maxInt32

const chunkRefusal = (chunk: ModelInput.Chunk): string | undefined => {
  if (chunk.type === "image_asset_pointer") return "is a pointer to an image, which protobuf cannot carry"
  if (chunk.type !== "image") return undefined
  const { expected_tokens, override_dimensions } = chunk
  if (expected_tokens !== undefined && notInt32(expected_tokens)) return "has expected_tokens that are not in [0, 2^31)"
  return override_dimensions !== undefined &&
    (notInt32(override_dimensions.width) || notInt32(override_dimensions.height))
    ? "has dimensions that are not in [0, 2^31)"
    : undefined
}

/** @internal */
export const refusal = (pass: Pass): Refusal | undefined => {
  if (notInt32(pass.seq_id)) return { path: "seq_id", reason: `is ${pass.seq_id}, not in [0, 2^31)` }
  for (let i = 0; i < pass.data.length; i++) {
    const datum = pass.data[i]!
    const { chunks } = datum.model_input
    for (let j = 0; j < chunks.length; j++) {
      const reason = chunkRefusal(chunks[j]!)
      if (reason !== undefined) return { path: `data[${i}].model_input.chunks[${j}]`, reason }
    }
    for (const name of Object.keys(datum.loss_fn_inputs)) {
      const reason = TensorData.problem(datum.loss_fn_inputs[name]!)
      if (reason !== undefined) return { path: `data[${i}].loss_fn_inputs.${name}`, reason }
    }
    for (const key of ["model_input_spans", "loss_fn_input_spans"] as const) {
      const spans = datum[key] ?? []
      const bad = spans.findIndex(({ length, offset }) => !isSize(length) || !isSize(offset))
      if (bad >= 0) return { path: `data[${i}].${key}[${bad}]`, reason: "has an offset or length below 0" }
    }
  }
  return undefined
}

const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

// --- sizes

const dimensionsSize = ({ height, width }: { readonly width: number; readonly height: number }): number =>
  W.implicitVarintSize(width) + W.implicitVarintSize(height)

const innerChunkSize = (chunk: ModelInput.Chunk): number => {
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

const chunkSize = (chunk: ModelInput.Chunk): number => W.bytesSize(innerChunkSize(chunk))

const entrySize = (key: Uint8Array, value: number): number => W.implicitSize(key.length) + value

const spanSize = (span: Datum.Span, texts: W.Texts): number =>
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

const configValueSize = (value: number | string, texts: W.Texts): number =>
  typeof value === "number" ? 9 : W.bytesSize(texts.utf8(value).length)

const configSize = (config: LossFn.Config, texts: W.Texts): number => {
  let size = 0
  for (const [name, value] of Object.entries(config)) {
    const key = texts.utf8(name)
    if (typeof value === "number") size += W.bytesSize(entrySize(key, 9))
    size += W.bytesSize(entrySize(key, W.bytesSize(configValueSize(value, texts))))
  }
  return size
}

// --- writing

const writeDimensions = (w: W.Writer, { height, width }: { readonly width: number; readonly height: number }): void => {
  w.implicitVarint(1, width)
  w.implicitVarint(2, height)
}

const writeChunk = (w: W.Writer, chunk: ModelInput.Chunk, texts: W.Texts): void => {
  switch (chunk.type) {
    case "encoded_text":
      w.open(1, innerChunkSize(chunk))
      return w.implicitContent(1, arrays.bytesOf(chunk.tokens))
    case "dmel":
      w.open(3, innerChunkSize(chunk))
      return w.implicitContent(1, chunk.dmel)
    case "image":
      w.open(2, innerChunkSize(chunk))
      w.implicitContent(1, chunk.data)
      w.content(2, texts.utf8(chunk.format))
      if (chunk.expected_tokens !== undefined) w.explicitVarint(3, chunk.expected_tokens)
      if (chunk.override_dimensions !== undefined) {
        w.open(4, dimensionsSize(chunk.override_dimensions))
        writeDimensions(w, chunk.override_dimensions)
      }
  }
}

const writeSpans = (w: W.Writer, field: number, spans: ReadonlyArray<Datum.Span>, texts: W.Texts): void => {
  for (const span of spans) {
    const size = spanSize(span, texts)
    w.open(field, W.bytesSize(size))
    w.open(span.type === "prompt" ? 1 : 2, size)
    w.implicitContent(1, texts.utf8(span.sequence_id))
    w.implicitVarint(2, span.offset)
    w.implicitVarint(3, span.length)
  }
}

const writeDatum = (w: W.Writer, datum: Datum.Datum, texts: W.Texts): void => {
  for (const chunk of datum.model_input.chunks) {
    w.open(1, chunkSize(chunk))
    writeChunk(w, chunk, texts)
  }
  for (const name of Object.keys(datum.loss_fn_inputs)) {
    const input = datum.loss_fn_inputs[name]!
    const key = texts.utf8(name)
    const size = tensor.size(input)
    w.open(2, entrySize(key, W.bytesSize(size)))
    w.implicitContent(1, key)
    w.open(2, size)
    tensor.write(w, input)
  }
  writeSpans(w, 3, datum.model_input_spans ?? [], texts)
  writeSpans(w, 4, datum.loss_fn_input_spans ?? [], texts)
}

/** The bytes of a pass that `refusal` has nothing against. @internal */
export const encode = (pass: Pass, into?: Uint8Array): Uint8Array => {
  const texts = new W.Texts()
  const model = texts.utf8(pass.model_id)
  const loss = texts.utf8(pass.loss_fn)
  const sizes = new Float64Array(pass.data.length)
  let total =
    W.implicitSize(model.length) +
    W.implicitVarintSize(pass.seq_id) +
    W.implicitSize(loss.length) +
    configSize(pass.loss_fn_config, texts) +
    (pass.forward_only ? 2 : 0)
  for (let i = 0; i < sizes.length; i++) {
    sizes[i] = datumSize(pass.data[i]!, texts)
    total += W.bytesSize(sizes[i]!)
  }
  const w = new W.Writer(total, into)
  w.implicitContent(1, model)
  w.implicitVarint(2, pass.seq_id)
  for (let i = 0; i < sizes.length; i++) {
    w.open(3, sizes[i]!)
    writeDatum(w, pass.data[i]!, texts)
  }
  w.implicitContent(4, loss)
  const config = Object.entries(pass.loss_fn_config)
  for (const [name, value] of config) {
    if (typeof value !== "number") continue
    const key = texts.utf8(name)
    w.open(5, entrySize(key, 9))
    w.implicitContent(1, key)
    w.double(2, value)
  }
  if (pass.forward_only) w.explicitVarint(6, 1)
  for (const [name, value] of config) {
    const key = texts.utf8(name)
    const size = configValueSize(value, texts)
    w.open(7, entrySize(key, W.bytesSize(size)))
    w.implicitContent(1, key)
    w.open(2, size)
    if (typeof value === "number") w.double(1, value)
    else w.content(2, texts.utf8(value))
  }
  return w.bytes
}

// --- reading

const nothing: Uint8Array = new Uint8Array(0)

interface RawChunk {
  kind: 0 | 1 | 2 | 3
  bytes: Uint8Array
  format: string
  expected_tokens?: number
  dimensions?: { width: number; height: number }
}

const emptyChunk = (kind: RawChunk["kind"]): RawChunk => ({ kind, bytes: nothing, format: "" })

const readChunk = (r: R.Reader): RawChunk => {
  let chunk = emptyChunk(0)
  r.message(() => {
    const { field } = r
    if (r.wire !== R.LEN || (field !== 1 && field !== 2 && field !== 3)) return r.skip()
    // a later member of the union replaces an earlier one; the same member again adds to it
    if (chunk.kind !== field) chunk = emptyChunk(field)
    const into = chunk
    r.message(() => {
      if (r.field === 1 && r.wire === R.LEN) into.bytes = r.content()
      else if (field !== 2) r.skip()
      else if (r.field === 2 && r.wire === R.LEN) into.format = r.text("an image's format")
      else if (r.field === 3 && r.wire === R.VARINT) into.expected_tokens = r.int32()
      else if (r.field === 4 && r.wire === R.LEN) {
        const size = (into.dimensions ??= { width: 0, height: 0 })
        r.message(() => {
          if (r.field === 1 && r.wire === R.VARINT) size.width = r.uint32()
          else if (r.field === 2 && r.wire === R.VARINT) size.height = r.uint32()
          else r.skip()
        })
      } else r.skip()
    })
  })
  return chunk
}

const finishChunk = (chunk: RawChunk, what: string): ModelInput.Chunk => {
  switch (chunk.kind) {
    case 0:
      return R.wrong(`${what} is of no kind that is known`)
    case 1: {
      if (chunk.bytes.length % 4 !== 0) R.wrong(`${what} has ${chunk.bytes.length} bytes, not a whole number of tokens`)
      return { type: "encoded_text", tokens: arrays.int32Of(chunk.bytes) }
    }
    case 2: {
      const { dimensions, expected_tokens, format } = chunk
      if (format !== "png" && format !== "jpeg") {
        return R.wrong(`${what} has the format ${JSON.stringify(format)}, not png or jpeg`)
      }
      if (expected_tokens !== undefined && expected_tokens < 0) R.wrong(`${what} has expected_tokens below 0`)
      return {
        type: "image",
        data: chunk.bytes,
        format,
        ...(expected_tokens === undefined ? {} : { expected_tokens }),
        ...(dimensions === undefined ? {} : { override_dimensions: dimensions })
      }
    }
    case 3:
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
  return type === undefined ? R.wrong(`${what} is of no kind that is known`) : { type, ...span }
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
      case 2: {
        let key = ""
        const value = tensor.raw()
        r.message(() => {
          if (r.field === 1 && r.wire === R.LEN) key = r.text(`${what}.loss_fn_inputs`)
          else if (r.field === 2 && r.wire === R.LEN) tensor.read(r, value)
          else r.skip()
        })
        inputs.push([key, tensor.finish(value, `${what}.loss_fn_inputs.${key}`)])
        return
      }
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

/** @internal */
export const decode = (bytes: Uint8Array): Pass => {
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
    else if (r.field === 5 && r.wire === R.LEN) {
      let key = ""
      let value = 0
      r.message(() => {
        if (r.field === 1 && r.wire === R.LEN) key = r.text("loss_fn_config")
        else if (r.field === 2 && r.wire === R.I64) value = r.double()
        else r.skip()
      })
      numbers.push([key, value])
    } else if (r.field === 6 && r.wire === R.VARINT) out.forward_only = r.bool()
    else if (r.field === 7 && r.wire === R.LEN) {
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
      values.push([key, value ?? R.wrong(`loss_fn_config_v2.${key} has no value`)])
    } else r.skip()
  }
  return { ...out, data, loss_fn_config: Object.fromEntries(values.length > 0 ? values : numbers) }
}
