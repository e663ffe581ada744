/** The file of a lowered program: a hash of the rest, then its description as JSON behind its length, then the ONNX model. */

/** A lowered program. @internal */
export interface Entry {
  /** the bytes of an ONNX model */
  readonly model: Uint8Array
  /** whether ONNX Runtime has optimized it already */
  readonly isOptimized: boolean
  /** the shapes of its outputs; with markers */
  readonly outputs: ReadonlyArray<ReadonlyArray<number>>
  /** the names of the constants beside it */
  readonly external: ReadonlyArray<string>
}

const hashBytes = 32

/** SHA-256. @internal */
export const digest = async (bytes: Uint8Array): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>))

/** @internal */
export const encode = async ({ model, ...description }: Entry): Promise<Uint8Array> => {
  const json = new TextEncoder().encode(JSON.stringify(description))
  const file = new Uint8Array(hashBytes + 4 + json.length + model.length)
  new DataView(file.buffer).setUint32(hashBytes, json.length, true)
  file.set(json, hashBytes + 4)
  file.set(model, hashBytes + 4 + json.length)
  file.set(await digest(file.subarray(hashBytes)))
  return file
}

/** The program of a file; `undefined` if it is not as it was written. @internal */
export const decode = async (file: Uint8Array): Promise<Entry | undefined> => {
  if (file.length < hashBytes + 4) return undefined
  const hash = await digest(file.subarray(hashBytes))
  if (hash.some((byte, i) => byte !== file[i])) return undefined
  const length = new DataView(file.buffer, file.byteOffset).getUint32(hashBytes, true)
  const start = hashBytes + 4 + length
  // what has the right hash was written by `encode`
  const description = JSON.parse(new TextDecoder().decode(file.subarray(hashBytes + 4, start))) as Omit<Entry, "model">
  return { ...description, model: file.subarray(start) }
}
