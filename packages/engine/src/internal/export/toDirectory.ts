/** Writes a merged model as a directory of Hugging Face: configuration, tokenizer, and weights in safetensors files. */
import * as Gguf from "@effect-tinker/tokenizers/Gguf"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { ModelDirectory } from "../../ModelDirectory.ts"
import * as gguf from "../gguf/model.ts"
import { FileProblem, readJson } from "../model/files.ts"
import { sizeOf } from "../util/shape.ts"
import type { Adapter } from "./adapter.ts"
import * as merged from "./merged.ts"
import type { Source } from "./source.ts"
import * as values from "./values.ts"

/** Files of the base model that are taken over as they are, where there are any. */
const kept = [
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "tokenizer.model",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
  "chat_template.json"
]

const toJson = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`

const dtypeNames = { F32: "float32", F16: "float16", BF16: "bfloat16" } as const

/** The files of a directory. */
const filesOfDirectory = (base: ModelDirectory) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const files: Record<string, string | Uint8Array> = {}
    for (const name of kept) {
      const path = join(base.path, name)
      if (yield* Effect.orElseSucceed(fs.exists(path), () => false)) {
        files[name] = yield* Effect.mapError(
          fs.readFile(path),
          (cause) => new FileProblem(path, "cannot be read", cause)
        )
      }
    }
    return { config: (yield* readJson(join(base.path, "config.json"))) as object, files }
  })

/** The same of a GGUF file, from its metadata. */
const filesOfGguf = (base: ModelDirectory, header: Gguf.Header) =>
  Effect.gen(function* () {
    const tokenizer = Gguf.toSource(header.metadata)
    if (Either.isLeft(tokenizer)) return yield* Effect.fail(new FileProblem(base.path, tokenizer.left))
    const { scaling } = base.config.rope
    const config = gguf.toConfigJson(header, scaling.type === "factors" ? scaling.factors : undefined)
    if (base.config.model_type === "phi3" && scaling.type === "factors") {
      return yield* Effect.fail(
        new FileProblem(
          base.path,
          "cannot be exported: its rotary embedding (LongRoPE) needs the factors of long contexts too"
        )
      )
    }
    const files: Record<string, string | Uint8Array> = {
      "tokenizer.json": toJson(tokenizer.right.tokenizer),
      "tokenizer_config.json": toJson({
        ...(tokenizer.right.config as object),
        tokenizer_class: "PreTrainedTokenizerFast",
        model_max_length: base.config.max_context_length
      })
    }
    // where the metadata has factors, they hold for all lengths
    const rope = (config as { readonly rope_scaling?: unknown }).rope_scaling
    const whole =
      scaling.type === "factors"
        ? { ...config, rope_scaling: { ...(rope as object), long_factor: scaling.factors } }
        : config
    return { config: { ...whole, eos_token_id: base.eos_token_ids }, files }
  })

/** Weights are split into files of about this size. */
const shardBytes = 4 * 2 ** 30

interface Placed {
  readonly each: merged.MergedWeight
  readonly bytes: number
}

const split = (weights: ReadonlyArray<merged.MergedWeight>): ReadonlyArray<ReadonlyArray<Placed>> => {
  const shards: Array<Array<Placed>> = [[]]
  let filled = 0
  for (const each of weights) {
    const bytes = values.bytesOf(each.weight.dtype, sizeOf(each.weight.shape))
    if (filled > 0 && filled + bytes > shardBytes) {
      shards.push([])
      filled = 0
    }
    shards.at(-1)!.push({ each, bytes })
    filled += bytes
  }
  return shards
}

const number = (n: number): string => String(n).padStart(5, "0")

const fileName = (i: number, count: number): string =>
  count === 1 ? "model.safetensors" : `model-${number(i + 1)}-of-${number(count)}.safetensors`

/** The header of one file, padded so that values are aligned. */
const headerOf = (placed: ReadonlyArray<Placed>): Uint8Array => {
  const entries: Record<string, unknown> = { __metadata__: { format: "pt" } }
  let end = 0
  for (const { bytes, each } of placed) {
    const begin = end
    end += bytes
    entries[each.name] = { dtype: each.weight.dtype, shape: each.weight.shape, data_offsets: [begin, end] }
  }
  const json = new TextEncoder().encode(JSON.stringify(entries))
  const length = Math.ceil(json.length / 8) * 8
  const out = new Uint8Array(8 + length).fill(0x20)
  new DataView(out.buffer).setBigUint64(0, BigInt(length), true)
  out.set(json, 8)
  return out
}

interface Options {
  readonly base: ModelDirectory
  readonly source: Source
  readonly adapter: Adapter
  /** an empty directory */
  readonly target: string
  /** that errors name */
  readonly shown: string
}

const writeShard = ({ base, shown }: Options, path: string, placed: ReadonlyArray<Placed>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* fs.open(path, { flag: "wx" })
    yield* file.writeAll(headerOf(placed))
    for (const { each } of placed) {
      yield* merged.write({ file, path: shown, config: base.config, isGguf: false }, each, each.weight.dtype)
    }
    yield* file.sync
  }).pipe(Effect.scoped)

const indexOf = (shards: ReadonlyArray<ReadonlyArray<Placed>>) => ({
  metadata: { total_size: shards.flat().reduce((sum, { bytes }) => sum + bytes, 0) },
  weight_map: Object.fromEntries(
    shards.flatMap((placed, i) => placed.map(({ each }) => [each.name, fileName(i, shards.length)]))
  )
})

/** Fills the directory. @internal */
export const write = (options: Options) =>
  Effect.gen(function* () {
    const { adapter, base, source, target } = options
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const { config, files } = yield* base.gguf === undefined ? filesOfDirectory(base) : filesOfGguf(base, base.gguf)
    const weights = yield* merged.weightsOf(base.path, base.config, source, adapter, base.config.norm_offset)
    const shards = split(weights)
    for (const [i, placed] of shards.entries()) {
      yield* writeShard(options, join(target, fileName(i, shards.length)), placed)
    }
    const dtype = dtypeNames[weights[0]!.weight.dtype]
    const { tie_word_embeddings } = merged.configOf(base.config, adapter)
    const all = {
      ...files,
      "config.json": toJson({ ...(base.gguf === undefined ? {} : { dtype }), ...config, tie_word_embeddings }),
      ...(shards.length === 1 ? {} : { "model.safetensors.index.json": toJson(indexOf(shards)) })
    }
    for (const [name, content] of Object.entries(all)) {
      yield* typeof content === "string"
        ? fs.writeFileString(join(target, name), content)
        : fs.writeFile(join(target, name), content)
    }
  }).pipe(
    Effect.mapError((cause) =>
      cause instanceof FileProblem ? cause : new FileProblem(options.shown, "cannot be written", cause)
    )
  )
