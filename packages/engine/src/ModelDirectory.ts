/**
 * Models in the format of Hugging Face: a directory with `config.json`, safetensors weights in one file or in shards,
 * and a tokenizer; or a GGUF file, which has all of this, in the formats F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1,
 * Q4_K, Q5_K and Q6_K. Decoders of the families Llama, Mistral, Qwen2, Qwen3, SmolLM3, Phi-3 and Gemma 3 are supported. A
 * model that the engine cannot run faithfully is rejected with every reason.
 *
 * @since 0.1.0
 */
import type * as SafeTensors from "@effect-tinker/server/SafeTensors"
import * as Gguf from "@effect-tinker/tokenizers/Gguf"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { optionalKey } from "./internal/effect/optionalKey.ts"
import * as config from "./internal/model/config.ts"
import * as gguf from "./internal/gguf/model.ts"
import * as ggufPacked from "./internal/gguf/packed.ts"
import * as architecture from "./internal/model/architecture.ts"
import * as files from "./internal/model/files.ts"
import { isInHalf, readHalfWeights } from "./internal/model/packedFiles.ts"
import { sizeOf } from "./internal/util/shape.ts"
import type { ModelConfig } from "./ModelConfig.ts"

/**
 * A directory whose weights are not read yet.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModelDirectory {
  /** the path that was given to `open` */
  readonly path: string
  readonly config: ModelConfig
  /** the end-of-text tokens, from `generation_config.json` or else from `config.json` */
  readonly eos_token_ids: ReadonlyArray<number>
  /** `undefined` without a `tokenizer.json` */
  readonly tokenizer?: Tokenizer.Service | undefined
  /** decodes tokens, special tokens included; `undefined` without a `tokenizer.json` */
  readonly decode: ((tokens: ReadonlyArray<number>) => string) | undefined
  /** the header of the GGUF file, if the path is one */
  readonly gguf?: Gguf.Header | undefined
}

/**
 * The tensors of a model by their Hugging Face names, such as `model.layers.0.self_attn.q_proj.weight`. A matrix has
 * the shape (out, in). Values are converted to float32.
 *
 * @since 0.1.0
 * @category models
 */
export interface Weights {
  readonly [name: string]: SafeTensors.Tensor
}

/**
 * A directory does not hold a model that the engine can run. `reason` says why.
 *
 * @since 0.1.0
 * @category errors
 */
export class ModelDirectoryError extends Schema.TaggedError<ModelDirectoryError>(
  "@effect-tinker/engine/ModelDirectory/ModelDirectoryError"
)("ModelDirectoryError", {
  /** the file or directory that is invalid */
  path: Schema.String,
  reason: Schema.String,
  cause: optionalKey(Schema.Defect)
}) {
  override get message(): string {
    return `${this.path}: ${this.reason}`
  }
}

const toError = (problem: {
  readonly path: string
  readonly reason: string
  readonly cause?: unknown
}): ModelDirectoryError => {
  const { cause, path, reason } = problem
  return new ModelDirectoryError({ path, reason, ...(cause === undefined ? {} : { cause }) })
}

/**
 * Parses the contents of `config.json`. On the left is the reason why the engine cannot run the model.
 *
 * @since 0.1.0
 * @category conversions
 */
export const parseConfig = (json: unknown): Either.Either<ModelConfig, string> => config.parse(json)

const readTokenizer = (directory: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const exists = yield* Effect.orElseSucceed(fs.exists(join(directory, "tokenizer.json")), () => false)
    return exists ? yield* Effect.mapError(Tokenizer.fromDirectory(directory), toError) : undefined
  })

/** Reads a GGUF file except for its weights. The error has every reason why the engine cannot run the model. */
const openGguf = Effect.fnUntraced(function* (path: string) {
  const header = yield* Effect.mapError(Gguf.readHeader(path), toError)
  const factors = yield* Effect.mapError(gguf.readRopeFactors(path, header), toError)
  const parsed = gguf.parse(header, factors)
  const tokenizer = yield* Effect.either(Gguf.tokenizerOf(path, header.metadata))
  const reasons = [
    ...(Either.isLeft(parsed) ? [parsed.left] : []),
    ...(Either.isLeft(tokenizer) ? [tokenizer.left.reason] : [])
  ]
  if (Either.isLeft(parsed) || Either.isLeft(tokenizer)) {
    return yield* new ModelDirectoryError({ path, reason: reasons.join("; ") })
  }
  const model: ModelDirectory = {
    path,
    config: parsed.right,
    eos_token_ids: gguf.eosTokenIds(header),
    tokenizer: tokenizer.right,
    decode: (tokens) => tokenizer.right.decode(tokens),
    gguf: header
  }
  return model
})

/**
 * Reads a directory, or a GGUF file, except for its weights.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = Effect.fn("ModelDirectory.open")(function* (directory: string) {
  if (Gguf.isPath(directory)) return yield* openGguf(directory)
  const { join } = yield* Path.Path
  const path = join(directory, "config.json")
  const raw = yield* Effect.mapError(files.readJson(path), toError)
  const parsed = parseConfig(raw)
  if (Either.isLeft(parsed)) return yield* new ModelDirectoryError({ path, reason: parsed.left })
  const generation = yield* Effect.mapError(files.readOptionalJson(join(directory, "generation_config.json")), toError)
  const tokenizer = yield* readTokenizer(directory)
  const model: ModelDirectory = {
    path: directory,
    config: parsed.right,
    eos_token_ids: config.eosTokenIds(generation, raw),
    tokenizer,
    decode: tokenizer === undefined ? undefined : (tokens) => tokenizer.decode(tokens)
  }
  return model
})

/**
 * Reads the weights, from `model.safetensors` or from the shards that `model.safetensors.index.json` names. Fails if a
 * weight of the configuration is missing or has another shape.
 *
 * @since 0.1.0
 * @category constructors
 */
export const weights = Effect.fn("ModelDirectory.weights")(function* (model: ModelDirectory) {
  const read =
    model.gguf === undefined
      ? files.readWeights(model.path, model.config)
      : gguf.readWeights(model.path, model.gguf, model.config)
  const weights: Weights = yield* Effect.mapError(read, toError)
  return weights
})

/**
 * The weights as the files have them, without widening the matrices: a directory's in 16 bits, or those of a GGUF file;
 * `undefined` if they are others.
 *
 * @internal
 */
export const packedWeights = Effect.fnUntraced(function* ({ config, gguf: header, path }: ModelDirectory) {
  if (header !== undefined) return yield* Effect.mapError(ggufPacked.readPacked(path, header, config), toError)
  return yield* Effect.mapError(readHalfWeights(path, config), toError)
})

/**
 * How many bytes those take. Files that cannot be read are a matter of reading the weights.
 *
 * @internal
 */
export const packedBytes = ({ config, gguf: header, path }: ModelDirectory) => {
  if (header !== undefined) return Effect.succeed(ggufPacked.packedBytes(header, config))
  const values = architecture.expectedWeights(config).reduce((sum, [, shape]) => sum + sizeOf(shape), 0)
  return isInHalf(path, config).pipe(
    Effect.map((isHalf) => (isHalf ? 2 * values : undefined)),
    Effect.orElseSucceed(() => undefined)
  )
}

/**
 * The matrices that a GGUF file has in 4 or 8 bits, by the names of their weights, for products of few rows.
 *
 * @internal
 */
export const quantizedWeights = Effect.fnUntraced(function* ({ config, gguf: header, path }: ModelDirectory) {
  if (header === undefined) return undefined
  return yield* Effect.mapError(gguf.readQuantized(path, header, config), toError)
})

/**
 * The name of the small model that ships with this package.
 *
 * @since 0.1.0
 * @category constants
 */
export const nanoName = "effect-tinker/nano"

/**
 * The path of the small model that ships with this package. Fails where modules are not files, as in browsers.
 *
 * @since 0.1.0
 * @category constants
 */
export const nano: Effect.Effect<string, ModelDirectoryError, Path.Path> = Effect.gen(function* () {
  const path = yield* Path.Path
  const url = new URL("../models/nano/", import.meta.url)
  return yield* Effect.mapError(
    path.fromFileUrl(url),
    (cause) =>
      new ModelDirectoryError({
        path: url.href,
        reason:
          `is no file here, so that ${nanoName} cannot be read: in a browser, give Embedded.layerBrowser the URL of its ` +
          "files, or the engine the directory of another model in the option models",
        cause
      })
  )
})
