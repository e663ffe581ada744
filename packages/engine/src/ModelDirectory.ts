/**
 * Models in the format of Hugging Face: a directory with `config.json`, safetensors weights in one file or in shards,
 * and a tokenizer. Decoders of the Llama and Qwen3 families are supported. A model that the engine cannot run
 * faithfully is rejected with the reason.
 *
 * @since 0.1.0
 */
import type * as SafeTensors from "@effect-tinker/server/SafeTensors"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { optionalKey } from "./internal/effect/optionalKey.ts"
import * as config from "./internal/model/config.ts"
import * as files from "./internal/model/files.ts"
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
  /** decodes tokens, special tokens included; `undefined` without a `tokenizer.json` */
  readonly decode: ((tokens: ReadonlyArray<number>) => string) | undefined
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

/**
 * Reads a directory except for its weights.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = Effect.fn("ModelDirectory.open")(function* (directory: string) {
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
  const weights: Weights = yield* Effect.mapError(files.readWeights(model.path, model.config), toError)
  return weights
})

/**
 * The name of the small model that ships with this package.
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
  return yield* Effect.mapError(
    path.fromFileUrl(url),
    (cause) => new ModelDirectoryError({ path: url.href, reason: "is not a file URL", cause })
  )
})
