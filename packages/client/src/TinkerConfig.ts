/**
 * Where the service is, and the key for it.
 *
 * @since 0.1.0
 */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly apiKey: Redacted.Redacted
  /** without a trailing slash; paths of the contract are appended to its own path */
  readonly baseUrl: string
  readonly projectId: string | undefined
  readonly tags: ReadonlyArray<string>
  readonly userMetadata: { readonly [key: string]: string }
}

/**
 * @since 0.1.0
 * @category tags
 */
export class TinkerConfig extends Context.Tag("@effect-tinker/client/TinkerConfig")<TinkerConfig, Service>() {}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly apiKey: Redacted.Redacted
  /** the hosted service's by default */
  readonly baseUrl?: string | undefined
  readonly projectId?: string | undefined
  /** labels of the session */
  readonly tags?: ReadonlyArray<string> | undefined
  /** stored with the session */
  readonly userMetadata?: { readonly [key: string]: string } | undefined
}

/**
 * The hosted service.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultBaseUrl = "https://tinker.thinkingmachines.dev/services/tinker-prod"

const invalid = (path: string, reason: string) => new TinkerError.InvalidInput({ method: "TinkerConfig", path, reason })

/**
 * Fails with `InvalidInput` when the key is empty or holds what no header can carry, and when the base URL is not an
 * absolute http(s) URL.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, TinkerError.InvalidInput> =>
  Effect.gen(function* () {
    const key = Redacted.value(options.apiKey).trim()
    if (key === "") return yield* invalid("apiKey", "is empty: set TINKER_API_KEY")
    if (!/^[\x21-\x7e]+$/.test(key)) {
      return yield* invalid("apiKey", "holds a character that a header cannot carry: set TINKER_API_KEY again")
    }
    const given = options.baseUrl ?? defaultBaseUrl
    const url = Option.getOrUndefined(Option.liftThrowable((text: string) => new URL(text))(given))
    if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
      return yield* invalid("baseUrl", `is ${JSON.stringify(given)}: set TINKER_BASE_URL to an absolute http(s) URL`)
    }
    if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
      return yield* invalid("baseUrl", "has a user, a query or a fragment: leave them out")
    }
    return {
      apiKey: Redacted.make(key),
      baseUrl: `${url.origin}${url.pathname}`.replace(/\/+$/, ""),
      projectId: options.projectId,
      tags: options.tags ?? [],
      userMetadata: options.userMetadata ?? {}
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<TinkerConfig, TinkerError.InvalidInput> =>
  Layer.effect(TinkerConfig, make(options))

const nonEmpty = (name: string) =>
  Config.option(Config.string(name)).pipe(Config.map(Option.filter((value) => value.trim() !== "")))

/**
 * What the environment says: `TINKER_API_KEY`, `TINKER_BASE_URL`, `TINKER_PROJECT_ID`, `TINKER_TAGS` (separated by
 * commas). Options given here win.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromConfig = (options: Partial<Options> = {}): Effect.Effect<Service, TinkerError.InvalidInput> =>
  Effect.gen(function* () {
    const env = yield* Config.all({
      apiKey: Config.option(Config.redacted("TINKER_API_KEY")),
      baseUrl: nonEmpty("TINKER_BASE_URL"),
      projectId: nonEmpty("TINKER_PROJECT_ID"),
      tags: nonEmpty("TINKER_TAGS")
    })
    const apiKey = options.apiKey ?? Option.getOrUndefined(env.apiKey)
    if (apiKey === undefined) {
      return yield* invalid("apiKey", "is missing: set TINKER_API_KEY, or give `apiKey` to the layer")
    }
    return yield* make({
      apiKey,
      baseUrl: options.baseUrl ?? Option.getOrUndefined(env.baseUrl),
      projectId: options.projectId ?? Option.getOrUndefined(env.projectId),
      tags:
        options.tags ??
        Option.match(env.tags, {
          onNone: () => [],
          onSome: (tags) =>
            tags
              .split(",")
              .map((tag) => tag.trim())
              .filter((tag) => tag !== "")
        }),
      userMetadata: options.userMetadata
    })
  }).pipe(Effect.catchTag("ConfigError", (error: ConfigError.ConfigError) => invalid("environment", String(error))))

/**
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (options: Partial<Options> = {}): Layer.Layer<TinkerConfig, TinkerError.InvalidInput> =>
  Layer.effect(TinkerConfig, fromConfig(options))
