/** Decodes safetensors files. Failures are the reason why a file cannot be read. */
import * as Either from "effect/Either"
import * as dtypes from "./dtypes.ts"
import { lengthBytes, metadataKey, sizeOf, type Tensor } from "./format.ts"

type JsonObject = { readonly [key: string]: unknown }

const isObject = (u: unknown): u is JsonObject => typeof u === "object" && u !== null && !Array.isArray(u)

const isSizes = (u: unknown): u is ReadonlyArray<number> =>
  Array.isArray(u) && u.every((n) => Number.isSafeInteger(n) && n >= 0)

/** The header, and where the data starts. */
const readHeader = (
  bytes: Uint8Array
): Either.Either<{ readonly header: JsonObject; readonly dataStart: number }, string> => {
  if (bytes.length < lengthBytes) return Either.left(`it has ${bytes.length} bytes`)
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true)
  if (length > BigInt(bytes.length - lengthBytes)) {
    return Either.left(`its header of ${length} bytes is longer than the file`)
  }
  const dataStart = lengthBytes + Number(length)
  let header: unknown
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(lengthBytes, dataStart)))
  } catch {
    return Either.left("its header is not JSON")
  }
  return isObject(header) ? Either.right({ header, dataStart }) : Either.left("its header is not an object")
}

/** Reads the tensor that an entry of the header describes; `data` is what follows the header. */
const readTensor = (name: string, entry: JsonObject, data: Uint8Array): Either.Either<Tensor, string> => {
  const { data_offsets: offsets, dtype, shape } = entry
  if (!dtypes.isDtype(dtype)) return Either.left(`${name} has dtype ${String(dtype)}, expected F32, F16 or BF16`)
  if (!isSizes(shape)) return Either.left(`${name} has no shape`)
  if (!isSizes(offsets) || offsets.length !== 2) return Either.left(`${name} has no data_offsets`)
  const [begin, end] = offsets as readonly [number, number]
  if (end - begin !== sizeOf(shape) * dtypes.bytesPerValue[dtype]) {
    return Either.left(`${name} does not fit its shape [${shape.join(", ")}]`)
  }
  if (begin > end || end > data.length) return Either.left(`${name} lies outside the file`)
  return Either.right({ shape, data: dtypes.toFloat32(data.subarray(begin, end), dtype) })
}

/** F32 tensors may share the memory of `bytes`. @internal */
export const decode = (
  bytes: Uint8Array
): Either.Either<
  { readonly tensors: { readonly [name: string]: Tensor }; readonly metadata: { readonly [key: string]: string } },
  string
> =>
  Either.gen(function* () {
    const { dataStart, header } = yield* readHeader(bytes)
    const data = bytes.subarray(dataStart)
    const tensors: Array<readonly [string, Tensor]> = []
    const metadata: Array<readonly [string, string]> = []
    for (const [name, entry] of Object.entries(header)) {
      if (!isObject(entry)) return yield* Either.left(`the entry of ${name} is not an object`)
      if (name === metadataKey) {
        for (const [key, value] of Object.entries(entry)) metadata.push([key, String(value)])
      } else {
        tensors.push([name, yield* readTensor(name, entry, data)])
      }
    }
    return { tensors: Object.fromEntries(tensors), metadata: Object.fromEntries(metadata) }
  })
