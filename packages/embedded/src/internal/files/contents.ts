/** The contents of files, in pieces, within a transaction. */
import * as database from "./database.ts"

/** The bytes of a piece: what is written anew when a byte of it changes. @internal */
const pieceSize = 2 ** 18

/** What the longest array holds in every browser. */
const mostBytes = 2 ** 31 - 1

/** @internal */
export interface Content {
  readonly size: number
  /** milliseconds since the epoch */
  readonly mtime: number
}

const contentsOf = (transaction: IDBTransaction) => transaction.objectStore(database.contents)
const piecesOf = (transaction: IDBTransaction) => transaction.objectStore(database.pieces)

/** Makes an empty content, and returns its number. @internal */
export const create = async (transaction: IDBTransaction, now: number): Promise<number> =>
  (await database.resultOf(contentsOf(transaction).add({ size: 0, mtime: now } satisfies Content))) as number

/** @internal */
export const get = async (transaction: IDBTransaction, id: number): Promise<Content> => {
  const found: Content | undefined = await database.resultOf(contentsOf(transaction).get(id))
  if (found === undefined) throw new database.Fault("NotFound", "the file has been removed")
  return found
}

const put = (transaction: IDBTransaction, id: number, content: Content) =>
  database.resultOf(contentsOf(transaction).put(content, id))

/** The pieces of a content from an index on. */
const rangeFrom = (id: number, index: number) => IDBKeyRange.bound([id, index], [id, Number.MAX_SAFE_INTEGER])

/** @internal */
export const remove = async (transaction: IDBTransaction, id: number): Promise<void> => {
  await database.resultOf(piecesOf(transaction).delete(rangeFrom(id, 0)))
  await database.resultOf(contentsOf(transaction).delete(id))
}

const piece = async (transaction: IDBTransaction, id: number, index: number): Promise<Uint8Array> =>
  ((await database.resultOf(piecesOf(transaction).get([id, index]))) as Uint8Array | undefined) ?? new Uint8Array(0)

/** Reads up to `length` bytes; fewer at the end of the content. @internal */
export const read = async (
  transaction: IDBTransaction,
  id: number,
  position: number,
  length: number
): Promise<Uint8Array> => {
  const { size } = await get(transaction, id)
  const count = Math.max(0, Math.min(length, size - position))
  if (count > mostBytes) throw new database.Fault("InvalidData", `its ${count} bytes are more than a page can hold`)
  const bytes = new Uint8Array(count)
  for (let done = 0; done < count;) {
    const index = Math.floor((position + done) / pieceSize)
    const start = position + done - index * pieceSize
    const here = Math.min(pieceSize - start, count - done)
    // what is past the end of a stored piece was never written, and is zero
    bytes.set((await piece(transaction, id, index)).subarray(start, start + here), done)
    done += here
  }
  return bytes
}

/** The whole content. @internal */
export const readAll = (transaction: IDBTransaction, id: number): Promise<Uint8Array> =>
  read(transaction, id, 0, Number.MAX_SAFE_INTEGER)

const patch = (old: Uint8Array, start: number, data: Uint8Array): Uint8Array => {
  if (start === 0 && data.length >= old.length) return data.slice()
  const patched = new Uint8Array(Math.max(old.length, start + data.length))
  patched.set(old)
  patched.set(data, start)
  return patched
}

/** Writes bytes at a position; what lies between the end and there becomes zero. @internal */
export const write = async (
  transaction: IDBTransaction,
  id: number,
  position: number,
  data: Uint8Array,
  now: number
): Promise<void> => {
  const { size } = await get(transaction, id)
  if (data.length === 0) return
  const store = piecesOf(transaction)
  for (let done = 0; done < data.length;) {
    const index = Math.floor((position + done) / pieceSize)
    const start = position + done - index * pieceSize
    const part = data.subarray(done, done + pieceSize - start)
    const isWhole = start === 0 && (part.length === pieceSize || index * pieceSize + part.length >= size)
    const old = isWhole ? new Uint8Array(0) : await piece(transaction, id, index)
    await database.resultOf(store.put(patch(old, start, part), [id, index]))
    done += part.length
  }
  await put(transaction, id, { size: Math.max(size, position + data.length), mtime: now })
}

/** Cuts a content, or extends it with zeros. @internal */
export const truncate = async (transaction: IDBTransaction, id: number, size: number, now: number): Promise<void> => {
  const old = await get(transaction, id)
  if (size < old.size) {
    const store = piecesOf(transaction)
    await database.resultOf(store.delete(rangeFrom(id, Math.ceil(size / pieceSize))))
    const last = Math.floor(size / pieceSize)
    const kept = size - last * pieceSize
    if (kept > 0) await database.resultOf(store.put((await piece(transaction, id, last)).slice(0, kept), [id, last]))
  }
  await put(transaction, id, { size, mtime: now })
}
