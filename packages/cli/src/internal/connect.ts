import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Tokenizers from "@effect-tinker/tokenizers/Tokenizers"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { CliError } from "./cliError.ts"
import * as embedded from "./embedded.ts"
import * as models from "./models.ts"

/** Which service a command works with. @internal */
export interface Options {
  readonly embedded: boolean
  readonly modelDir: ReadonlyArray<string>
  readonly checkpoints: string
  readonly tokenizer: Option.Option<string>
}

const setting = (name: string) =>
  Effect.orElseSucceed(Config.option(Config.nonEmptyString(name)), () => Option.none<string>())

// any of these says that there is another service to use
const remoteSettings = ["TINKER_API_KEY", "TINKER_BASE_URL", "TINKER_CREDENTIAL_CMD"]

const shippedModel = "effect-tinker/nano"

/**
 * A session with the service that the environment names, or with the embedded one, which then runs for as long as the
 * scope is open.
 * @internal
 */
export const make = Effect.fnUntraced(function* (options: Options) {
  const named = yield* Effect.forEach(remoteSettings, setting)
  const isEmbedded = options.embedded || !named.some(Option.isSome)
  const directories = yield* models.directories(options.modelDir)

  const clients: Layer.Layer<ServiceClient.ServiceClient | RestClient.RestClient, TinkerError.TinkerError> =
    yield* Effect.gen(function* () {
      if (!isEmbedded) {
        return Layer.mergeAll(ServiceClient.layerConfig(), RestClient.layerConfig()).pipe(
          Layer.provide(FetchHttpClient.layer)
        )
      }
      // without keys: whatever is in the directory belongs to whoever may read it
      const { url } = yield* embedded.start({ models: directories, checkpoints: options.checkpoints, keys: [] })
      const config = { apiKey: Redacted.make(embedded.anyKey), baseUrl: url }
      return Layer.mergeAll(ServiceClient.layer(config), RestClient.layer(config)).pipe(
        Layer.provide(FetchHttpClient.layer)
      )
    })
  const context = yield* Layer.build(clients)
  const service = Context.get(context, ServiceClient.ServiceClient)
  const rest = Context.get(context, RestClient.RestClient)

  /** The base model that is asked for, or the one to take where none is. */
  const baseModel = (asked: Option.Option<string>) =>
    Effect.gen(function* () {
      const offered = (yield* service.getServerCapabilities).supported_models.flatMap(({ model_name }) =>
        model_name === undefined ? [] : [model_name]
      )
      const fallback = isEmbedded
        ? Option.some(directories[0]?.name ?? shippedModel)
        : yield* setting("TINKER_BASE_MODEL")
      const name = Option.getOrUndefined(Option.orElse(asked, () => fallback))
      if (name === undefined && offered.includes(shippedModel)) return shippedModel
      if (name === undefined) {
        return yield* new CliError({
          title: "No base model was named",
          details: "Give --model; 'tinker model list' says which there are"
        })
      }
      if (!offered.includes(name)) {
        return yield* new CliError({
          title: `The service does not offer the base model ${name}`,
          details: offered.length > 8 ? "See 'tinker model list'" : `It offers ${offered.join(", ")}`
        })
      }
      return name
    })

  /** The tokenizer of a base model. */
  const tokenizerOf = (model: string, tokenizer_id?: string) =>
    Effect.gen(function* () {
      const given = Option.getOrUndefined(
        Option.orElse(options.tokenizer, () =>
          Option.fromNullable(directories.find(({ name }) => name === model)?.directory)
        )
      )
      if (given !== undefined) return yield* Tokenizer.fromDirectory(given)
      if (model === shippedModel) {
        const local = yield* embedded.load
        const { directory } = yield* Effect.promise(() => local.shipped())
        return yield* Tokenizer.fromDirectory(directory)
      }
      const set = yield* setting("TINKER_TOKENIZER")
      if (Option.isSome(set)) return yield* Tokenizer.fromDirectory(set.value)
      return yield* Effect.flatMap(Tokenizers.Tokenizers, ({ forModel }) => forModel(model, tokenizer_id)).pipe(
        Effect.provide(Tokenizers.layerConfig().pipe(Layer.provide(FetchHttpClient.layer)))
      )
    })

  return { service, rest, isEmbedded, baseModel, tokenizerOf }
})
