/**
 * The model that a program fine-tunes: its name at the service, and its tokenizer.
 *
 * @since 0.1.0
 */
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as tokenizer from "./internal/tokenizer.ts"

/**
 * There is no base model to be had from these settings; `reason` says what to change.
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
  cause: Schema.optionalWith(Schema.Defect, { exact: true })
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
  /** by which the service knows it */
  readonly name: string
  /** the tokens of a text, without special tokens added */
  readonly encode: (text: string) => ReadonlyArray<number>
  readonly decode: (tokens: ArrayLike<number>) => string
}

/**
 * @since 0.1.0
 * @category tags
 */
export class BaseModel extends Context.Tag("@effect-tinker/cookbook/BaseModel")<BaseModel, Service>() {}

const readJson = (path: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const text = yield* fs
      .readFileString(path)
      .pipe(Effect.mapError((cause) => new BaseModelError({ path, reason: "cannot be read", cause })))
    return yield* Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: (cause) => new BaseModelError({ path, reason: "is not JSON", cause })
    })
  })

/**
 * A model whose tokenizer lies in a directory as Hugging Face keeps it: `tokenizer.json` and `tokenizer_config.json`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromDirectory = Effect.fn("BaseModel.fromDirectory")(function* (name: string, directory: string) {
  const fs = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const file = join(directory, "tokenizer.json")
  const configFile = join(directory, "tokenizer_config.json")
  const json = yield* readJson(file)
  const hasConfig = yield* Effect.orElseSucceed(fs.exists(configFile), () => false)
  const config = hasConfig ? yield* readJson(configFile) : {}
  const made: Service = yield* Effect.try({
    try: () => ({ name, ...tokenizer.make(json, config) }),
    catch: (cause) =>
      new BaseModelError({ path: file, reason: "is not a tokenizer that @huggingface/tokenizers can read", cause })
  })
  return made
})

/**
 * The small model that ships with the engine.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNano: Layer.Layer<BaseModel, BaseModelError, FileSystem.FileSystem | Path.Path> = Layer.effect(
  BaseModel,
  ModelDirectory.nano.pipe(
    Effect.mapError(({ path, reason }) => new BaseModelError({ path, reason })),
    Effect.flatMap((directory) => fromDirectory(JaxEngine.nano, directory))
  )
)

/**
 * The model that `TINKER_BASE_MODEL` names, with the tokenizer in the directory `TINKER_TOKENIZER`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig: Layer.Layer<BaseModel, BaseModelError, FileSystem.FileSystem | Path.Path> = Layer.effect(
  BaseModel,
  Effect.gen(function* () {
    const setting = (name: string, reason: string) =>
      Config.option(Config.nonEmptyString(name)).pipe(
        Effect.mapError((cause) => new BaseModelError({ path: name, reason, cause })),
        Effect.flatMap(
          Option.match({
            onNone: () => new BaseModelError({ path: name, reason: `is not set: ${reason}` }),
            onSome: Effect.succeed
          })
        )
      )
    const name = yield* setting("TINKER_BASE_MODEL", "give the name of a base model that the service offers")
    const directory = yield* setting(
      "TINKER_TOKENIZER",
      `give the directory that holds tokenizer.json of ${name}, as Hugging Face keeps it`
    )
    return yield* fromDirectory(name, directory)
  })
)
