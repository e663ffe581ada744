/**
 * Which tokenizer belongs to which model of a service, and where it comes from.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Path from "@effect/platform/Path"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Hub from "./Hub.ts"
import * as shared from "./internal/shared.ts"
import * as Tokenizer from "./Tokenizer.ts"

const pinned: { readonly [repo: string]: string } = {
  "moonshotai/Kimi-K2-Thinking": "612681931a8c906ddb349f8ad0f582cb552189cd",
  "moonshotai/Kimi-K2.5": "4d01dfe0332d63057c186e0b262165819efb6611",
  "moonshotai/Kimi-K2.6": "b5aabbfb20227ed42becbf5541dbffd213942c58",
  "moonshotai/Kimi-K3": "f831ab66814297da540d832a5235f8e904f29d06"
}

/**
 * The repository whose tokenizer a model reads, by the rules of the official client. A service may say it itself, as
 * `tokenizer_id`; otherwise the model's name says it: what follows a `:` (a variant by context length) does not count,
 * `organisation/model/variant` has the tokenizer of `organisation/model`, and Llama 3 has a repository that is not gated.
 * Where a repository's tokenizer is code, the official client's revision is given.
 *
 * @since 0.1.0
 * @category conversions
 */
export const select = (model_name: string, tokenizer_id?: string): Hub.Ref => {
  const name = model_name.split(":", 1)[0]!
  const parts = name.split("/")
  const given = tokenizer_id?.split(":", 1)[0]
  const chosen =
    given ||
    (name.startsWith("meta-llama/Llama-3")
      ? "thinkingmachineslabinc/meta-llama-3-instruct-tokenizer"
      : parts.length === 3
        ? `${parts[0]}/${parts[1]}`
        : name)
  const repo = chosen === "moonshotai/Kimi-K2.5-Text-Only" ? "moonshotai/Kimi-K2.5" : chosen
  return Object.hasOwn(pinned, repo) ? { repo, revision: pinned[repo] } : { repo }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** the tokenizer of a model, by the names that a service gives; all who ask share one */
  readonly forModel: (
    model_name: string,
    tokenizer_id?: string
  ) => Effect.Effect<Tokenizer.Service, Tokenizer.TokenizerError | Hub.HubError>
}

/**
 * Where tokenizers come from.
 *
 * @since 0.1.0
 * @category tags
 */
export class Tokenizers extends Context.Tag("@effect-tinker/tokenizers/Tokenizers")<Tokenizers, Service>() {}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** directories of models that no hub has, by `tokenizer_id` or model name */
  readonly directories?: { readonly [name: string]: string } | undefined
}

const privateOnes = /^(TML|thinkingmachines)\//

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fn("Tokenizers.make")(function* (options: Options = {}) {
  const hub = yield* Hub.Hub
  const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  const once = shared.make<string, Tokenizer.Service, Tokenizer.TokenizerError>(yield* Effect.scope)
  const open = (directory: string) => once(directory, Effect.provide(Tokenizer.fromDirectory(directory), context))
  const directoryOf = (name: string) =>
    options.directories !== undefined && Object.hasOwn(options.directories, name)
      ? options.directories[name]
      : undefined
  const fs = Context.get(context, FileSystem.FileSystem)
  const path = Context.get(context, Path.Path)
  const forModel: Service["forModel"] = (model_name, tokenizer_id) =>
    Effect.gen(function* () {
      const ref = select(model_name, tokenizer_id)
      const local = directoryOf(ref.repo) ?? directoryOf(model_name)
      if (local !== undefined) return yield* open(local)
      if (privateOnes.test(ref.repo)) {
        return yield* new Tokenizer.TokenizerError({
          path: ref.repo,
          reason: "is not on the Hugging Face hub: give its directory as an option of Tokenizers"
        })
      }
      const { directory } = yield* hub.tokenizerFiles(ref)
      const held = yield* Effect.orElseSucceed(fs.exists(path.join(directory, "tokenizer.json")), () => true)
      if (!held) {
        return yield* new Tokenizer.TokenizerError({
          path: ref.repo,
          reason:
            "has no tokenizer.json: its tokenizer is code of its own. Convert it with the Python library, and give the " +
            "directory as an option of Tokenizers"
        })
      }
      return yield* open(directory)
    })
  const service: Service = { forModel }
  return service
})

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<Tokenizers, never, Hub.Hub | FileSystem.FileSystem | Path.Path> =>
  Layer.scoped(Tokenizers, make(options))

/**
 * Tokenizers from the Hugging Face hub, as the environment says (`Hub.fromConfig`).
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
