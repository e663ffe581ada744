/**
 * Models as Hugging Face keeps them: a directory with `config.json`, safetensors weights in one file or in shards, and
 * the tokenizer. Decoders of the Llama and Qwen3 families are read; whatever the engine could not run faithfully is
 * refused with the reason.
 *
 * @since 0.1.0
 */
import * as SafeTensors from "@effect-tinker/server/SafeTensors"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as architecture from "./internal/model/architecture.ts"
import * as modelConfig from "./internal/model/config.ts"
import type { ModelConfig } from "./ModelConfig.ts"

/**
 * What is known of a directory before its weights are read.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModelDirectory {
  /** as it was given to `open` */
  readonly path: string
  readonly config: ModelConfig
  /** the tokens at which a text ends, from `generation_config.json` or else `config.json` */
  readonly eos_token_ids: ReadonlyArray<number>
  /** the text of tokens, special tokens included; absent without a `tokenizer.json` */
  readonly decode: ((tokens: ReadonlyArray<number>) => string) | undefined
}

/**
 * The tensors of a model by their Hugging Face names, such as `model.layers.0.self_attn.q_proj.weight`. A matrix has the
 * shape (out, in). Everything is float32, whatever the file holds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Weights {
  readonly [name: string]: SafeTensors.Tensor
}

/**
 * A directory is not a model that the engine can run; `reason` says what to change.
 *
 * @since 0.1.0
 * @category errors
 */
export class ModelDirectoryError extends Schema.TaggedError<ModelDirectoryError>(
  "@effect-tinker/engine/ModelDirectory/ModelDirectoryError"
)("ModelDirectoryError", {
  /** the file or directory at fault */
  path: Schema.String,
  reason: Schema.String,
  cause: Schema.optionalWith(Schema.Defect, { exact: true })
}) {
  override get message(): string {
    return `${this.path}: ${this.reason}`
  }
}

/**
 * The configuration in the contents of a `config.json`, or the reason why the engine cannot run such a model.
 *
 * @since 0.1.0
 * @category conversions
 */
export const parseConfig = (json: unknown): Either.Either<ModelConfig, string> => modelConfig.parse(json)

const readJson = (path: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const text = yield* fs
      .readFileString(path)
      .pipe(Effect.mapError((cause) => new ModelDirectoryError({ path, reason: "cannot be read", cause })))
    return yield* Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: (cause) => new ModelDirectoryError({ path, reason: "is not JSON", cause })
    })
  })

const readOptionalJson = (path: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const exists = yield* fs
      .exists(path)
      .pipe(Effect.mapError((cause) => new ModelDirectoryError({ path, reason: "cannot be read", cause })))
    return exists ? yield* readJson(path) : undefined
  })

/**
 * Reads everything of a directory but its weights.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = Effect.fn("ModelDirectory.open")(function* (directory: string) {
  const { join } = yield* Path.Path
  const file = join(directory, "config.json")
  const raw = yield* readJson(file)
  const parsed = parseConfig(raw)
  if (Either.isLeft(parsed)) return yield* new ModelDirectoryError({ path: file, reason: parsed.left })
  const generation = yield* readOptionalJson(join(directory, "generation_config.json"))
  const fs = yield* FileSystem.FileSystem
  const hasTokenizer = yield* Effect.orElseSucceed(fs.exists(join(directory, "tokenizer.json")), () => false)
  const tokenizer = hasTokenizer
    ? yield* Tokenizer.fromDirectory(directory).pipe(
        Effect.mapError(({ cause, path, reason }) => new ModelDirectoryError({ path, reason, cause }))
      )
    : undefined
  const model: ModelDirectory = {
    path: directory,
    config: parsed.right,
    eos_token_ids: modelConfig.eosTokenIds(generation, raw),
    decode: tokenizer === undefined ? undefined : (tokens) => tokenizer.decode(tokens)
  }
  return model
})

const readTensors = (path: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const bytes = yield* fs
      .readFile(path)
      .pipe(Effect.mapError((cause) => new ModelDirectoryError({ path, reason: "cannot be read", cause })))
    const decoded = SafeTensors.decode(bytes)
    return Either.isLeft(decoded)
      ? yield* new ModelDirectoryError({ path, reason: decoded.left.message, cause: decoded.left })
      : decoded.right.tensors
  })

const IndexFile = Schema.Struct({ weight_map: Schema.Record({ key: Schema.String, value: Schema.String }) })

/**
 * Reads the weights that the configuration calls for, and checks that each is there in the right shape. Files are
 * `model.safetensors`, or the shards that `model.safetensors.index.json` names.
 *
 * @since 0.1.0
 * @category constructors
 */
export const weights = Effect.fn("ModelDirectory.weights")(function* (model: ModelDirectory) {
  const { join } = yield* Path.Path
  const index = join(model.path, "model.safetensors.index.json")
  const raw = yield* readOptionalJson(index)
  const fromIndex = (json: unknown) =>
    Effect.gen(function* () {
      const { weight_map } = yield* Schema.decodeUnknown(IndexFile)(json).pipe(
        Effect.mapError((cause) => new ModelDirectoryError({ path: index, reason: "has no weight_map", cause }))
      )
      const files = [...new Set(Object.values(weight_map))].sort()
      const foreign = files.find((file) => !/^[\w.-]+\.safetensors$/.test(file))
      return foreign === undefined
        ? files
        : yield* new ModelDirectoryError({
            path: index,
            reason: `names the shard ${JSON.stringify(foreign)}, which is not a safetensors file beside it`
          })
    })
  const files = raw === undefined ? ["model.safetensors"] : yield* fromIndex(raw)
  const tensors = Object.assign(
    {},
    ...(yield* Effect.forEach(files, (file) => readTensors(join(model.path, file))))
  ) as Weights
  const out: Record<string, SafeTensors.Tensor> = {}
  for (const [name, shape] of architecture.expectedWeights(model.config)) {
    const tensor = Object.hasOwn(tensors, name) ? tensors[name] : undefined
    if (tensor === undefined) {
      return yield* new ModelDirectoryError({ path: model.path, reason: `has no weight ${name}` })
    }
    if (tensor.shape.length !== shape.length || tensor.shape.some((size, axis) => size !== shape[axis])) {
      return yield* new ModelDirectoryError({
        path: model.path,
        reason: `has ${name} in the shape [${tensor.shape.join(", ")}], but config.json asks for [${shape.join(", ")}]`
      })
    }
    out[name] = tensor
  }
  const bias = Object.keys(tensors).find((name) => name.endsWith(".bias"))
  if (bias !== undefined) {
    return yield* new ModelDirectoryError({ path: model.path, reason: `has ${bias}: biases are not supported` })
  }
  return out as Weights
})

/**
 * The name by which the small model that ships with this package is on offer.
 *
 * @since 0.1.0
 * @category constants
 */
export const nanoName = "effect-tinker/nano"

/**
 * The path of the small model that ships with this package.
 *
 * @since 0.1.0
 * @category constants
 */
export const nano: Effect.Effect<string, ModelDirectoryError, Path.Path> = Effect.gen(function* () {
  const path = yield* Path.Path
  const url = new URL("../models/nano/", import.meta.url)
  return yield* path
    .fromFileUrl(url)
    .pipe(
      Effect.mapError(
        (cause) => new ModelDirectoryError({ path: url.href, reason: "is not a path of a file system", cause })
      )
    )
})
