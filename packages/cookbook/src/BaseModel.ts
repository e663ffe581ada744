/**
 * The base model that a program fine-tunes: its name and its tokenizer.
 *
 * @since 0.1.0
 */
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Tokenizers from "@effect-tinker/tokenizers/Tokenizers"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Path from "@effect/platform/Path"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { optionalKey } from "./internal/effect/optionalKey.ts"

/**
 * The base model or its tokenizer cannot be loaded with these settings. `reason` says what to change.
 *
 * @since 0.1.0
 * @category errors
 */
export class BaseModelError extends Schema.TaggedError<BaseModelError>(
  "@effect-tinker/cookbook/BaseModel/BaseModelError"
)("BaseModelError", {
  /** the setting, file or directory at fault */
  path: Schema.String,
  reason: Schema.String,
  cause: optionalKey(Schema.Defect)
}) {
  override get message(): string {
    return `${this.path} ${this.reason}`
  }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** the name of the model at the service */
  readonly name: string
  /** encodes a text, without adding special tokens */
  readonly encode: (text: string) => ReadonlyArray<number>
  readonly decode: (tokens: ArrayLike<number>) => string
}

/**
 * @since 0.1.0
 * @category tags
 */
export class BaseModel extends Context.Tag("@effect-tinker/cookbook/BaseModel")<BaseModel, Service>() {}

const fromTokenizer = (name: string, tokenizer: Tokenizer.Service): Service => ({
  name,
  encode: (text) => tokenizer.encode(text, { addSpecialTokens: false }),
  decode: (tokens) => tokenizer.decode(tokens)
})

/**
 * A model whose tokenizer is in a directory: `tokenizer.json` and `tokenizer_config.json`, as on the Hugging Face hub.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromDirectory = Effect.fn("BaseModel.fromDirectory")(function* (name: string, directory: string) {
  return yield* Tokenizer.fromDirectory(directory).pipe(
    Effect.map((tokenizer) => fromTokenizer(name, tokenizer)),
    Effect.mapError(({ cause, path, reason }) => new BaseModelError({ path, reason, cause }))
  )
})

/**
 * A model whose tokenizer comes from the Hugging Face hub, by the model's name.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromHub = Effect.fn("BaseModel.fromHub")(function* (name: string) {
  return yield* Effect.flatMap(Tokenizers.Tokenizers, (tokenizers) => tokenizers.forModel(name)).pipe(
    Effect.provide(Tokenizers.layerConfig()),
    Effect.map((tokenizer) => fromTokenizer(name, tokenizer)),
    Effect.mapError(
      (cause) =>
        new BaseModelError({
          path: name,
          reason: `has no tokenizer: ${cause.message}. Or set TINKER_TOKENIZER to a directory with its tokenizer.json`,
          cause
        })
    )
  )
})

/**
 * The small model that ships with the engine, `effect-tinker/nano`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNano: Layer.Layer<BaseModel, BaseModelError, FileSystem.FileSystem | Path.Path> = Layer.effect(
  BaseModel,
  ModelDirectory.nano.pipe(
    Effect.mapError(({ path, reason }) => new BaseModelError({ path, reason })),
    Effect.flatMap((directory) => fromDirectory(ModelDirectory.nanoName, directory))
  )
)

/**
 * The model `TINKER_BASE_MODEL`. Its tokenizer is read from the directory `TINKER_TOKENIZER`, or downloaded from the
 * Hugging Face hub.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig: Layer.Layer<
  BaseModel,
  BaseModelError,
  FileSystem.FileSystem | Path.Path | HttpClient.HttpClient
> = Layer.effect(
  BaseModel,
  Effect.gen(function* () {
    const setting = (name: string) =>
      Config.option(Config.nonEmptyString(name)).pipe(
        Effect.mapError((cause) => new BaseModelError({ path: name, reason: "cannot be read", cause }))
      )
    const name = yield* setting("TINKER_BASE_MODEL")
    if (Option.isNone(name)) {
      return yield* new BaseModelError({
        path: "TINKER_BASE_MODEL",
        reason: "is not set: give the name of a base model that the service offers"
      })
    }
    const directory = yield* setting("TINKER_TOKENIZER")
    return yield* Option.isSome(directory) ? fromDirectory(name.value, directory.value) : fromHub(name.value)
  })
)
