/** `ForwardBackwardOutput`: writing and reading the result of a forward-backward, which batches datums into few tensors. */
import * as TensorData from "../../TensorData.ts"
import type * as Training from "../../Training.ts"
import * as arrays from "./arrays.ts"
import * as R from "./reader.ts"
import * as tensor from "./tensor.ts"
import * as W from "./writer.ts"

type Output = { readonly [name: string]: TensorData.TensorData }

/** A record without fields takes a few bytes for any number of datums, so that number needs a limit. */
const maxDatums = 1_048_576

const trailingOf = (value: TensorData.TensorData): ReadonlyArray<number> => TensorData.shapeOf(value).slice(1)

/** Outputs with the same signature can share a record. */
const signature = (output: Output): string =>
  JSON.stringify(Object.entries(output).map(([name, value]) => [name, value.dtype, trailingOf(value)]))

/** Runs of consecutive outputs with the same signature. */
const toRecords = (outputs: ReadonlyArray<Output>): ReadonlyArray<ReadonlyArray<Output>> => {
  const out: Array<Array<Output>> = []
  let last: string | undefined
  for (const output of outputs) {
    const current = signature(output)
    if (current === last) out[out.length - 1]!.push(output)
    else out.push([output])
    last = current
  }
  return out
}

const batchSize = (record: ReadonlyArray<Output>, name: string): number => {
  let data = 0
  for (const output of record) data += tensor.dataSize(output[name]!)
  return W.implicitSize(data) + W.bytesSize(8 * (record.length + 1)) + 2 + W.packedSize(trailingOf(record[0]![name]!))
}

const writeBatch = (w: W.Writer, record: ReadonlyArray<Output>, name: string): void => {
  const offsets = new Float64Array(record.length + 1)
  record.forEach((output, i) => {
    offsets[i + 1] = offsets[i]! + tensor.dataSize(output[name]!)
  })
  const data = offsets[record.length]!
  if (data > 0) {
    w.open(1, data)
    for (const output of record) tensor.writeData(w, output[name]!)
  }
  w.open(2, 8 * offsets.length)
  const words = BigInt64Array.from(offsets, BigInt)
  arrays.writeInt64(w.bytes, w.view, w.position, words)
  w.position += words.byteLength
  w.explicitVarint(3, tensor.dtypeOf(record[0]![name]!))
  w.packed(4, trailingOf(record[0]![name]!))
}

const fieldSize = (key: Uint8Array, size: number): number => W.implicitSize(key.length) + W.bytesSize(size)

const recordSize = (record: ReadonlyArray<Output>, texts: W.Texts): number => {
  let size = W.implicitVarintSize(record.length)
  for (const name of Object.keys(record[0]!)) {
    size += W.bytesSize(fieldSize(texts.utf8(name), batchSize(record, name)))
  }
  return size
}

const writeRecord = (w: W.Writer, record: ReadonlyArray<Output>, texts: W.Texts): void => {
  for (const name of Object.keys(record[0]!)) {
    const key = texts.utf8(name)
    const size = batchSize(record, name)
    w.open(2, fieldSize(key, size))
    w.implicitContent(1, key)
    w.open(2, size)
    writeBatch(w, record, name)
  }
  w.implicitVarint(3, record.length)
}

const metricSize = (key: Uint8Array): number => W.implicitSize(key.length) + 9

/** @internal */
export const encode = (output: Training.ForwardBackwardOutput): Uint8Array => {
  const texts = new W.Texts()
  const type = texts.utf8(output.loss_fn_output_type)
  const records = toRecords(
    output.loss_fn_outputs.map((values) =>
      Object.fromEntries(Object.entries(values).map(([name, value]) => [name, TensorData.toDense(value)]))
    )
  )
  const metrics = Object.entries(output.metrics)
  let total = W.implicitSize(type.length)
  for (const record of records) total += W.bytesSize(recordSize(record, texts))
  for (const [name] of metrics) total += W.bytesSize(metricSize(texts.utf8(name)))
  const w = new W.Writer(total)
  w.implicitContent(1, type)
  for (const record of records) {
    w.open(2, recordSize(record, texts))
    writeRecord(w, record, texts)
  }
  for (const [name, value] of metrics) {
    const key = texts.utf8(name)
    w.open(3, metricSize(key))
    w.implicitContent(1, key)
    w.double(2, value)
  }
  return w.bytes
}

const nothing: Uint8Array = new Uint8Array(0)

/** The path that problems are reported at. */
const what = "loss_fn_outputs"

/** Fields of a `BatchedTensor` as they were read. */
interface RawBatch {
  data: Uint8Array
  offsets: Uint8Array
  dtype: number
  readonly trailing: Array<number>
}

const readBatch = (r: R.Reader, into: RawBatch): void =>
  r.message(() => {
    if (r.field === 1 && r.wire === R.LEN) into.data = r.content()
    else if (r.field === 2 && r.wire === R.LEN) into.offsets = r.content()
    else if (r.field === 3 && r.wire === R.VARINT) into.dtype = r.int32()
    else if (r.field === 4 && (r.wire === R.VARINT || r.wire === R.LEN)) r.sizes(into.trailing, "a dimension")
    else r.skip()
  })

/** Byte offsets as numbers, checked to rise and to stay within the data. */
const offsetsOf = (batch: RawBatch, width: number, what: string): Float64Array => {
  if (batch.offsets.length % 8 !== 0) R.invalid(`${what} has offsets of ${batch.offsets.length} bytes`)
  const view = new DataView(batch.offsets.buffer, batch.offsets.byteOffset, batch.offsets.byteLength)
  const offsets = new Float64Array(batch.offsets.length / 8)
  for (let i = 0; i < offsets.length; i++) {
    const value = view.getInt32(8 * i + 4, true) * 0x100000000 + view.getUint32(8 * i, true)
    const least = i === 0 ? 0 : offsets[i - 1]!
    if (value < least || value > batch.data.length || value % width !== 0)
      R.invalid(`${what} has a bad offset ${value}`)
    offsets[i] = value
  }
  return offsets
}

/** The tensors of a batch, one per datum, as views of one array. */
const finishBatch = (batch: RawBatch, what: string): ReadonlyArray<TensorData.TensorData> => {
  const width = tensor.width(batch.dtype, what)
  const offsets = offsetsOf(batch, width, what)
  const all = tensor.values(batch.data, batch.dtype, what)
  const columns = TensorData.sizeOfShape(batch.trailing)
  const out: Array<TensorData.TensorData> = []
  for (let i = 0; i + 1 < offsets.length; i++) {
    const data = all.data.subarray(offsets[i]! / width, offsets[i + 1]! / width)
    const rows = columns === 0 ? 0 : Math.floor(data.length / columns)
    if (rows * columns !== data.length) {
      R.invalid(`${what} has ${data.length} values for a datum, not rows of [${batch.trailing.join(", ")}]`)
    }
    out.push({ dtype: all.dtype, data, shape: [rows, ...batch.trailing] } as TensorData.TensorData)
  }
  return out
}

const readRecordField = (r: R.Reader, fields: Map<string, RawBatch>): void => {
  let key = ""
  const batch: RawBatch = { data: nothing, offsets: nothing, dtype: 0, trailing: [] }
  r.message(() => {
    if (r.field === 1 && r.wire === R.LEN) key = r.text(what)
    else if (r.field === 2 && r.wire === R.LEN) readBatch(r, batch)
    else r.skip()
  })
  fields.set(key, batch)
}

/** Reads a record and appends its datums to `outputs`. */
const readRecord = (r: R.Reader, outputs: Array<Output>): void => {
  const fields = new Map<string, RawBatch>()
  let count = 0
  r.message(() => {
    if (r.field === 2 && r.wire === R.LEN) readRecordField(r, fields)
    else if (r.field === 3 && r.wire === R.VARINT) count = r.size("num_datums")
    else r.skip()
  })
  const columns = Array.from(fields, ([name, batch]) => [name, finishBatch(batch, `${what}.${name}`)] as const)
  const datums = count === 0 ? (columns[0]?.[1].length ?? 0) : count
  for (const [name, values] of columns) {
    if (values.length !== datums) R.invalid(`${what}.${name} has ${values.length} datums, but the record has ${datums}`)
  }
  if (outputs.length + datums > maxDatums) R.invalid(`${what} has more than ${maxDatums} datums`)
  for (let i = 0; i < datums; i++) outputs.push(Object.fromEntries(columns.map(([name, values]) => [name, values[i]!])))
}

const readMetric = (r: R.Reader): readonly [string, number] => {
  let key = ""
  let value = 0
  r.message(() => {
    if (r.field === 1 && r.wire === R.LEN) key = r.text("metrics")
    else if (r.field === 2 && r.wire === R.I64) value = r.double()
    else r.skip()
  })
  return [key, value]
}

/** @internal */
export const decode = (bytes: Uint8Array): Training.ForwardBackwardOutput => {
  const r = new R.Reader(bytes)
  let type = ""
  let hasRecords = false
  const outputs: Array<Output> = []
  const metrics: Array<readonly [string, number]> = []
  while (r.next()) {
    if (r.field === 1 && r.wire === R.LEN) type = r.text("loss_fn_output_type")
    else if (r.field === 2 && r.wire === R.LEN) {
      hasRecords = true
      readRecord(r, outputs)
    } else if (r.field === 3 && r.wire === R.LEN) metrics.push(readMetric(r))
    else r.skip()
  }
  return {
    loss_fn_output_type: hasRecords ? type.slice(type.lastIndexOf(":") + 1) : type || "ArrayRecord",
    loss_fn_outputs: outputs,
    metrics: Object.fromEntries(metrics)
  }
}
