/** A session with the service that a command trains on or samples from, hosted or embedded. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { CliError } from "../errors/cliError.ts"
import * as settings from "../util/settings.ts"
import * as embedded from "./embedded.ts"
import * as models from "./models.ts"
import * as tokenizer from "./tokenizer.ts"

/** Which service a command works with. @internal */
export interface Options {
  readonly embedded: boolean
  /** a model that the service offers, or where one is for the embedded service */
  readonly model: Option.Option<string>
  readonly modelDir: ReadonlyArray<string>
  readonly checkpoints: string
  readonly tokenizer: Option.Option<string>
  /** whether the embedded service samples base models in GGUF files by their weights in few bits */
  readonly quantizedSampling?: boolean | undefined
}

/** @internal */
export interface Connection {
  readonly service: ServiceClient.Service
  readonly rest: RestClient.Service
  readonly isEmbedded: boolean
  /** The base models of `--model-dir` and `--model`. */
  readonly directories: ReadonlyArray<models.ModelDirectory>
  /** The model that `--model` locates. */
  readonly located: Option.Option<models.ModelDirectory>
}

type Clients = ServiceClient.ServiceClient | RestClient.RestClient

/** How many threads the engine of the embedded service computes with. @internal */
export const embeddedThreads = 1

const layerRemote: Layer.Layer<Clients, TinkerError.TinkerError> = Layer.mergeAll(
  ServiceClient.layerConfig(),
  RestClient.layerConfig()
).pipe(Layer.provide(NodeHttpClient.layer))

const layerOf = (config: TinkerConfig.Options): Layer.Layer<Clients, TinkerError.TinkerError> =>
  Layer.mergeAll(ServiceClient.layer(config), RestClient.layer(config)).pipe(Layer.provide(NodeHttpClient.layer))

/** Starts the embedded service, without API keys: it listens on the loopback address only. */
const startEmbedded = (
  directories: ReadonlyArray<models.ModelDirectory>,
  { checkpoints, quantizedSampling }: Options
) =>
  Effect.map(embedded.start({ models: directories, checkpoints, quantizedSampling, keys: [] }), ({ url }) =>
    layerOf({ apiKey: Redacted.make(embedded.anyKey), baseUrl: url })
  )

/**
 * Connects to the service that the environment names, or starts the embedded one, which runs until the scope closes.
 * @internal
 */
export const make = Effect.fnUntraced(function* (options: Options) {
  const isEmbedded = options.embedded || (yield* embedded.isOnlyService)
  const given = yield* models.directories(options.modelDir)
  const names = [tokenizer.shippedModel, ...given.map(({ name }) => name)]
  const located = isEmbedded ? yield* models.located(options.model, names) : Option.none<models.ModelDirectory>()
  const directories = [...given, ...Option.toArray(located)]
  const context = yield* Layer.build(isEmbedded ? yield* startEmbedded(directories, options) : layerRemote)
  return {
    service: Context.get(context, ServiceClient.ServiceClient),
    rest: Context.get(context, RestClient.RestClient),
    isEmbedded,
    directories,
    located
  } satisfies Connection
})

/**
 * The requested base model if the service offers it, or the default one. A service may serve models that it does not list;
 * one with a tokenizer is tried.
 *
 * @internal
 */
export const baseModel = Effect.fnUntraced(function* (
  { directories, isEmbedded, located, service }: Connection,
  requested: Option.Option<string>,
  given: Option.Option<string>
) {
  const offered = (yield* service.getServerCapabilities).supported_models.flatMap(({ model_name }) =>
    model_name === undefined ? [] : [model_name]
  )
  const fallback = isEmbedded
    ? Option.some(directories[0]?.name ?? tokenizer.shippedModel)
    : yield* settings.optional("TINKER_BASE_MODEL")
  const chosen = Option.orElse(
    Option.map(located, ({ name }) => name),
    () => requested
  )
  const name = Option.getOrUndefined(Option.orElse(chosen, () => fallback))
  if (name === undefined && offered.includes(tokenizer.shippedModel)) return tokenizer.shippedModel
  if (name === undefined) {
    return yield* new CliError({
      title: "No base model given",
      details: "Set --model; 'tinker model list' shows the available ones"
    })
  }
  if (offered.includes(name)) return name
  if (!isEmbedded && Option.isSome(given)) {
    yield* Effect.logWarning(`the service does not list the base model ${name}; it may serve it`)
    return name
  }
  return yield* new CliError({
    title: `The service does not offer the base model ${name}`,
    details:
      (offered.length > 8 ? "See 'tinker model list'" : `It offers ${offered.join(", ")}`) +
      (isEmbedded ? "" : "; a model that it serves and does not list needs --tokenizer")
  })
})

/** The tokenizer of a base model: from `--tokenizer`, its own directory, the engine, `TINKER_TOKENIZER` or the hub. @internal */
export const tokenizerOf = Effect.fnUntraced(function* (
  { directories }: Pick<Connection, "directories">,
  options: Options,
  model: string
) {
  const directory = Option.orElse(options.tokenizer, () =>
    Option.fromNullable(directories.find(({ name }) => name === model)?.directory)
  )
  if (Option.isSome(directory)) return yield* Tokenizer.fromDirectory(directory.value)
  if (model === tokenizer.shippedModel) return yield* tokenizer.shipped
  const configured = yield* settings.optional("TINKER_TOKENIZER")
  return yield* Option.match(configured, {
    onNone: () => tokenizer.fromHub(model),
    onSome: (path) => Tokenizer.fromDirectory(path)
  })
})

/** The longest input that a model reads, in tokens, where the service tells it. @internal */
export const contextLength = Effect.fnUntraced(function* ({ service }: Connection, model: string) {
  const { supported_models } = yield* service.getServerCapabilities
  return supported_models.find(({ model_name }) => model_name === model)?.max_context_length ?? undefined
})

/** How many tokens a model can read that is on this computer. */
const localContextLength = Effect.fnUntraced(function* (
  directories: ReadonlyArray<models.ModelDirectory>,
  model: string
) {
  const given = directories.find(({ name }) => name === model)?.directory
  if (given === undefined && model !== tokenizer.shippedModel) return undefined
  const local = yield* embedded.load
  return yield* Effect.promise(async () => local.contextLength(given ?? (await local.shipped()).directory))
})

/** A model, its tokenizer and, if it is on this computer, how much it can read, without a service. @internal */
export const offline = Effect.fnUntraced(function* (options: Options & { readonly model: Option.Option<string> }) {
  const directories = yield* models.directories(options.modelDir)
  const configured = yield* settings.optional("TINKER_BASE_MODEL")
  const model = Option.getOrElse(
    Option.orElse(options.model, () => configured),
    () => directories[0]?.name ?? tokenizer.shippedModel
  )
  return {
    model,
    longest: yield* localContextLength(directories, model),
    tokenizer: yield* tokenizerOf({ directories }, options, model)
  }
})
