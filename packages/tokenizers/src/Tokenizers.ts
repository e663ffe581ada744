/**
 * The tokenizers of a service's models: which tokenizer belongs to which model, and where it comes from.
 *
 * @since 0.1.0
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Path from "@effect/platform/Path"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Hub from "./Hub.ts"
import { locate } from "./internal/models/locate.ts"
import * as models from "./internal/models/select.ts"
import * as deduplicate from "./internal/util/deduplicate.ts"
import * as Tokenizer from "./Tokenizer.ts"

/**
 * The repository with the tokenizer of a model, by the rules of the official client. A `tokenizer_id` that the service
 * reports takes precedence over the model's name. In either, what follows a `:` (a variant by context length) is ignored;
 * `organisation/model/variant` has the tokenizer of `organisation/model`; Llama 3 has a repository that is not gated. If
 * the tokenizer of a repository is code, the result has the revision that the official client uses.
 *
 * @since 0.1.0
 * @category conversions
 */
export const select = (model_name: string, tokenizer_id?: string): Hub.Ref => models.select(model_name, tokenizer_id)

/**
 * The operations of `Tokenizers`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** the tokenizer of a model, by the names that a service reports; it is loaded once and shared by all callers */
  readonly forModel: (
    model_name: string,
    tokenizer_id?: string
  ) => Effect.Effect<Tokenizer.Service, Tokenizer.TokenizerError | Hub.HubError>
}

/**
 * A source of tokenizers.
 *
 * @since 0.1.0
 * @category tags
 */
export class Tokenizers extends Context.Tag("@effect-tinker/tokenizers/Tokenizers")<Tokenizers, Service>() {}

/**
 * Where tokenizers come from beside the hub.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** directories of models that are not on the hub, by `tokenizer_id` or model name */
  readonly directories?: { readonly [name: string]: string } | undefined
}

/**
 * Tokenizers from the hub and from the given directories.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fn("Tokenizers.make")(function* ({ directories = {} }: Options = {}) {
  const { tokenizerFiles } = yield* Hub.Hub
  const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  const once = deduplicate.make<string, Tokenizer.Service, Tokenizer.TokenizerError>(yield* Effect.scope)
  const service: Service = {
    forModel: (model_name, tokenizer_id) =>
      locate(directories, tokenizerFiles, model_name, tokenizer_id).pipe(
        Effect.flatMap((directory) => once(directory, Effect.provide(Tokenizer.fromDirectory(directory), context))),
        Effect.provide(context)
      )
  }
  return service
})

/**
 * Tokenizers from the hub and from the given directories.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<Tokenizers, never, Hub.Hub | FileSystem.FileSystem | Path.Path> =>
  Layer.scoped(Tokenizers, make(options))

/**
 * Tokenizers from the hub, with the options of the environment (`Hub.fromConfig`), and from the given directories.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options?: Options & Partial<Hub.Options>
): Layer.Layer<Tokenizers, ConfigError.ConfigError, FileSystem.FileSystem | Path.Path | HttpClient.HttpClient> =>
  Layer.provide(layer(options), Hub.layerConfig(options))

/**
 * The tokenizer of one model.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerTokenizer = (
  model_name: string,
  tokenizer_id?: string
): Layer.Layer<Tokenizer.Tokenizer, Tokenizer.TokenizerError | Hub.HubError, Tokenizers> =>
  Layer.effect(
    Tokenizer.Tokenizer,
    Effect.flatMap(Tokenizers, (tokenizers) => tokenizers.forModel(model_name, tokenizer_id))
  )
