/** `TopkLogprobs`: matrices of the most likely tokens and their logprobs. */
import * as arrays from "./arrays.ts"
import * as R from "./reader.ts"
import * as W from "./writer.ts"

const nothing: Uint8Array = new Uint8Array(0)

/** Fills the cells of a row that has fewer tokens than the widest one. */
const hole = { token: 0, logprob: -99999 }

type Topk = ReadonlyArray<ReadonlyArray<readonly [number, number]> | null>

/** The number of tokens of the widest row, and at least one, so that a matrix of empty rows has a size. */
const columns = (topk: Topk): number => topk.reduce((most, row) => Math.max(most, row?.length ?? 0), 1)

/** @internal */
export const size = (topk: Topk): number => {
  const k = columns(topk)
  return 2 * W.implicitSize(4 * k * topk.length) + W.implicitVarintSize(k) + W.implicitVarintSize(topk.length)
}

/** @internal */
export const write = (w: W.Writer, topk: Topk): void => {
  const k = columns(topk)
  const ids = new Int32Array(k * topk.length)
  const logprobs = new Float32Array(k * topk.length).fill(hole.logprob)
  topk.forEach((row, i) =>
    row?.forEach(([id, logprob], j) => {
      ids[i * k + j] = id
      logprobs[i * k + j] = logprob
    })
  )
  w.implicitContent(1, arrays.bytesOf(ids))
  w.implicitContent(2, arrays.bytesOf(logprobs))
  w.implicitVarint(3, k)
  w.implicitVarint(4, topk.length)
}

/** Fields of a `TopkLogprobs` as they were read. @internal */
export interface Raw {
  ids: Uint8Array
  logprobs: Uint8Array
  k: number
  length: number
}

/** @internal */
export const raw = (): Raw => ({ ids: nothing, logprobs: nothing, k: 0, length: 0 })

/** @internal */
export const read = (r: R.Reader, into: Raw): void =>
  r.message(() => {
    if (r.field === 1 && r.wire === R.LEN) into.ids = r.content()
    else if (r.field === 2 && r.wire === R.LEN) into.logprobs = r.content()
    else if (r.field === 3 && r.wire === R.VARINT) into.k = r.uint32()
    else if (r.field === 4 && r.wire === R.VARINT) into.length = r.uint32()
    else r.skip()
  })

/** @internal */
export const finish = (
  topk: Raw | undefined,
  what: string
): Array<Array<readonly [number, number]> | null> | undefined => {
  if (topk === undefined || topk.k === 0 || topk.length === 0) return undefined
  const { k, length } = topk
  if (topk.ids.length !== 4 * k * length || topk.logprobs.length !== 4 * k * length) {
    R.invalid(`${what} is not a matrix of ${length} rows and ${k} columns`)
  }
  const ids = arrays.int32Of(topk.ids)
  const logprobs = arrays.float32Of(topk.logprobs)
  const isHole = (i: number) => ids[i] === hole.token && logprobs[i] === hole.logprob
  const rows: Array<Array<readonly [number, number]> | null> = []
  for (let row = 0; row < length; row++) {
    const start = row * k
    let end = start + k
    while (end > start && isHole(end - 1)) end--
    if (isHole(start)) rows.push(null)
    else rows.push(Array.from({ length: end - start }, (_, j) => [ids[start + j]!, logprobs[start + j]!] as const))
  }
  return rows
}
