/** Writes a merged model as a GGUF file. */
import * as Gguf from "@effect-tinker/tokenizers/Gguf"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import type { ModelDirectory } from "../../ModelDirectory.ts"
import { tensorName } from "../gguf/model.ts"
import { FileProblem } from "../model/files.ts"
import { sizeOf } from "../util/shape.ts"
import type { Adapter } from "./adapter.ts"
import * as header from "./ggufHeader.ts"
import * as metadata from "./ggufMetadata.ts"
import * as merged from "./merged.ts"
import type { Source } from "./source.ts"
import * as values from "./values.ts"

/** The format of most matrices. @internal */
export type GgufType = "f16" | "q8_0"

const fileTypes = { f16: 1, q8_0: 7 } as const
const typeNumbers = { F32: 0, F16: 1, BF16: 30, Q8_0: 8 } as const

/** Vectors are small and stay exact; rows that are no whole blocks have half precision. */
const formatOf = (shape: ReadonlyArray<number>, type: GgufType): values.Format => {
  if (shape.length < 2) return "F32"
  return type === "q8_0" && shape.at(-1)! % values.blockSize === 0 ? "Q8_0" : "F16"
}

/** The tokenizer of the base model as metadata. */
const tokenizerOf = ({ config, gguf, path }: ModelDirectory) =>
  gguf === undefined
    ? Effect.mapError(
        Gguf.metadataOfDirectory(path, config.vocab_size),
        ({ cause, path, reason }) => new FileProblem(path, reason, cause)
      )
    : Effect.succeed(gguf.metadata)

/** Zeros up to the place of the next tensor. */
const pad = (file: FileSystem.File, bytes: number) =>
  header.padding(bytes) === 0 ? Effect.void : file.writeAll(new Uint8Array(header.padding(bytes)))

const factorsName = "rope_freqs.weight"

/** Writes the file. `shown` is the path that errors name. @internal */
export const write = (options: {
  readonly base: ModelDirectory
  readonly source: Source
  readonly adapter: Adapter
  readonly name: string
  readonly type: GgufType
  readonly target: string
  readonly shown: string
}) =>
  Effect.gen(function* () {
    const { adapter, base, name, shown, source, target, type } = options
    const fs = yield* FileSystem.FileSystem
    const reasons = metadata.problems(base.config)
    if (reasons.length > 0) {
      return yield* Effect.fail(new FileProblem(base.path, `cannot be exported as GGUF: ${reasons.join("; ")}`))
    }
    const tokenizer = yield* tokenizerOf(base)
    const weights = yield* merged.weightsOf(base.path, base.config, source, adapter, 0)
    const factors = metadata.ropeFactors(base.config)
    const planned = weights.map((each) => ({ each, format: formatOf(each.weight.shape, type) }))
    const tensors = planned.map(({ each: { name, weight }, format }) => ({
      name: tensorName(name, base.config),
      shape: weight.shape,
      type: typeNumbers[format],
      bytes: values.bytesOf(format, sizeOf(weight.shape))
    }))
    const extra =
      factors === undefined ? [] : [{ name: factorsName, shape: [factors.length], type: 0, bytes: factors.byteLength }]
    const file = yield* fs.open(target, { flag: "wx" })
    const all = metadata.make(name, base.config, fileTypes[type], tokenizer, base.eos_token_ids)
    yield* file.writeAll(header.encode(all, [...tensors, ...extra]))
    for (const [i, { each, format }] of planned.entries()) {
      yield* merged.write({ file, path: shown, config: base.config, isGguf: true }, each, format)
      yield* pad(file, tensors[i]!.bytes)
    }
    if (factors !== undefined) {
      yield* file.writeAll(new Uint8Array(factors.buffer))
      yield* pad(file, factors.byteLength)
    }
    yield* file.sync
  }).pipe(
    Effect.scoped,
    Effect.mapError((cause) =>
      cause instanceof FileProblem ? cause : new FileProblem(options.shown, "cannot be written", cause)
    )
  )
