/** Reads the header of a GGUF file: its metadata, and where its tensors are. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { parse as parseWithLibrary } from "#gguf"
import { TokenizerError } from "../tokenizer/model.ts"

/** A tensor of the file. @internal */
export interface TensorInfo {
  readonly name: string
  /** the outermost axis first, as elsewhere; files have them in the other order */
  readonly shape: ReadonlyArray<number>
  /** the number of its format */
  readonly type: number
  /** in the file, in bytes */
  readonly offset: number
}

/** @internal */
export interface Header {
  readonly metadata: { readonly [key: string]: unknown }
  readonly tensors: ReadonlyArray<TensorInfo>
  /** of the file */
  readonly bytes: number
}

const firstRead = 2 ** 24
const largestHeader = 2 ** 29

/** The file is needed beyond what was read. */
class MoreNeeded extends Error {}

/** Serves ranges of the beginning of a file to the library, which reads files by HTTP. */
const rangesOf =
  (beginning: Uint8Array<ArrayBuffer>, total: number): typeof fetch =>
  (_url, init) => {
    const range = /bytes=(\d+)-(\d+)/.exec(new Headers(init?.headers).get("range") ?? "")
    const [start, end] = [Number(range?.[1]), Math.min(Number(range?.[2]) + 1, total)]
    if (!(end <= beginning.length)) return Promise.reject(new MoreNeeded())
    const headers = { "content-range": `bytes ${start}-${end - 1}/${total}` }
    return Promise.resolve(new Response(beginning.slice(start, end), { status: 206, headers }))
  }

const parse = async (beginning: Uint8Array<ArrayBuffer>, total: number): Promise<Header> => {
  const { metadata, tensorDataOffset, tensorInfos } = await parseWithLibrary(rangesOf(beginning, total))
  // the library reads zeros behind the end of a file
  if (Number(tensorDataOffset) > total) throw new RangeError("the file ends within its header")
  return {
    metadata: { ...metadata },
    bytes: total,
    tensors: tensorInfos.map(({ dtype, name, offset, shape }) => ({
      name,
      type: dtype,
      offset: Number(tensorDataOffset + offset),
      shape: shape.map(Number).reverse()
    }))
  }
}

/** @internal */
export const readHeader = (path: string): Effect.Effect<Header, TokenizerError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const unreadable = (cause: unknown) => new TokenizerError({ path, reason: "cannot be read", cause })
    const { size } = yield* Effect.mapError(fs.stat(path), unreadable)
    const total = Number(size)
    for (let length = firstRead; ; length *= 4) {
      const beginning = yield* Effect.mapError(readBeginning(path, Math.min(length, total)), unreadable)
      const parsed = yield* Effect.either(
        Effect.tryPromise({ try: () => parse(beginning, total), catch: (cause) => cause })
      )
      if (parsed._tag === "Right") return parsed.right
      if (parsed.left instanceof MoreNeeded && length < Math.min(total, largestHeader)) continue
      return yield* new TokenizerError({ path, reason: "is not a GGUF file that can be read", cause: parsed.left })
    }
  })

const readBeginning = (path: string, length: number) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* fs.open(path)
    const out = new Uint8Array(length)
    for (let done = 0; done < length;) {
      const part = Option.getOrElse(yield* file.readAlloc(length - done), () => new Uint8Array(0))
      if (part.length === 0) return out.subarray(0, done)
      out.set(part, done)
      done += part.length
    }
    return out
  }).pipe(Effect.scoped)
