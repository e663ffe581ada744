/**
 * The service's URL, the credentials, and what clients report about the program.
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
import * as Credentials from "./Credentials.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly credentials: Credentials.Credentials
  /** without a trailing slash; the contract's paths are appended to its path */
  readonly baseUrl: string
  readonly projectId: string | undefined
  readonly tags: ReadonlyArray<string>
  readonly userMetadata: { readonly [key: string]: string }
  readonly displayName: string | undefined
  /** sent with every request; names in lower case */
  readonly headers: { readonly [name: string]: Redacted.Redacted }
  /** whether failures are reported to the service */
  readonly telemetry: boolean
  /** the largest response that is read, in bytes after decompression */
  readonly maxResponseBytes: number
  readonly encoding: Encoding
  /** whether requests have spans of their own */
  readonly httpSpans: boolean
}

/**
 * How data is sent to the service for training, and which results are accepted: `auto` sends protobuf to a service that
 * reads it and JSON to others, and accepts both; the others force one. `json` also asks for no protobuf results.
 *
 * @since 0.1.0
 * @category models
 */
export type Encoding = "auto" | "protobuf" | "json"

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
  /** `tml-…`, or a token */
  readonly apiKey?: Redacted.Redacted | undefined
  /** another source of credentials, in place of `apiKey` */
  readonly credentials?: Credentials.Credentials | undefined
  /** the hosted service by default */
  readonly baseUrl?: string | undefined
  readonly projectId?: string | undefined
  /** labels of the session */
  readonly tags?: ReadonlyArray<string> | undefined
  /** stored with the session */
  readonly userMetadata?: { readonly [key: string]: string } | undefined
  /** the name of the session in user interfaces */
  readonly displayName?: string | undefined
  /** sent with every request, as gateways require; they may be secrets, and are never shown */
  readonly headers?: { readonly [name: string]: string | Redacted.Redacted } | undefined
  /** reports failures to the service, without any content; true by default */
  readonly telemetry?: boolean | undefined
  /**
   * the largest response that is read, in bytes after decompression; 256 MiB by default. A larger one fails with a
   * `TransportError` whose reason is `TooLarge`. Downloads have a limit of their own.
   */
  readonly maxResponseBytes?: number | undefined
  /** `auto` by default */
  readonly encoding?: Encoding | undefined
  /**
   * Whether each request has a span of its own below that of its operation, as `HttpClient` makes them; false by default:
   * requests then only propagate the trace. Polls, heartbeats and telemetry never have one. It costs a fiber a request.
   */
  readonly httpSpans?: boolean | undefined
}

/** 256 MiB: many times what services send, and less than a string may have. */
const defaultMaxResponseBytes = 256 * 1024 * 1024

/**
 * The hosted service.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultBaseUrl = "https://tinker.thinkingmachines.dev/services/tinker-prod"

const encodings: ReadonlySet<string> = new Set<Encoding>(["auto", "protobuf", "json"])

const invalid = (path: string, reason: string) => new TinkerError.InvalidInput({ method: "TinkerConfig", path, reason })

const readHeaders = (headers: NonNullable<Options["headers"]>) => {
  const read: Record<string, Redacted.Redacted> = {}
  for (const [name, given] of Object.entries(headers)) {
    const value = (typeof given === "string" ? given : Redacted.value(given)).trim()
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || !/^[\x20-\x7e\x80-\xff]*$/.test(value)) {
      return invalid(`headers.${name}`, "is not a valid header: its name or value has a character that is not allowed")
    }
    read[name.toLowerCase()] = Redacted.make(value)
  }
  return Effect.succeed(read)
}

/**
 * Fails with `InvalidInput` if there is no valid key, and if the base URL is not an absolute http(s) URL.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, TinkerError.InvalidInput> =>
  Effect.gen(function* () {
    const given = options.baseUrl ?? defaultBaseUrl
    const url = Option.getOrUndefined(Option.liftThrowable((text: string) => new URL(text))(given))
    if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
      return yield* invalid("baseUrl", `is ${JSON.stringify(given)}: set TINKER_BASE_URL to an absolute http(s) URL`)
    }
    if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
      return yield* invalid("baseUrl", "has a user, a query or a fragment: remove them")
    }
    const maxResponseBytes = options.maxResponseBytes ?? defaultMaxResponseBytes
    if (!Number.isSafeInteger(maxResponseBytes) || maxResponseBytes <= 0) {
      return yield* invalid("maxResponseBytes", `is ${maxResponseBytes}: give a positive number of bytes`)
    }
    const encoding = options.encoding ?? "auto"
    if (!encodings.has(encoding)) {
      return yield* invalid("encoding", `is ${JSON.stringify(encoding)}: set TINKER_ENCODING to auto, protobuf or json`)
    }
    return {
      credentials: options.credentials ?? (yield* Credentials.make({ apiKey: options.apiKey })),
      baseUrl: `${url.origin}${url.pathname}`.replace(/\/+$/, ""),
      projectId: options.projectId,
      tags: options.tags ?? [],
      userMetadata: options.userMetadata ?? {},
      displayName: options.displayName,
      headers: yield* readHeaders(options.headers ?? {}),
      telemetry: options.telemetry ?? true,
      maxResponseBytes,
      encoding,
      httpSpans: options.httpSpans ?? false
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<TinkerConfig, TinkerError.InvalidInput> =>
  Layer.scoped(TinkerConfig, make(options))

const nonEmpty = (name: string) =>
  Config.option(Config.string(name)).pipe(
    Config.map((value) => Option.getOrUndefined(Option.filter(value, (text) => text.trim() !== "")))
  )

const secret = (name: string) => Config.map(nonEmpty(name), (value) => value && Redacted.make(value))

const environment = Config.all({
  apiKey: Config.map(Config.option(Config.redacted("TINKER_API_KEY")), Option.getOrUndefined),
  baseUrl: nonEmpty("TINKER_BASE_URL"),
  projectId: nonEmpty("TINKER_PROJECT_ID"),
  tags: nonEmpty("TINKER_TAGS"),
  telemetry: nonEmpty("TINKER_TELEMETRY"),
  encoding: nonEmpty("TINKER_ENCODING"),
  command: nonEmpty("TINKER_CREDENTIAL_CMD"),
  clientId: secret("CLOUDFLARE_ACCESS_CLIENT_ID"),
  clientSecret: secret("CLOUDFLARE_ACCESS_CLIENT_SECRET"),
  home: nonEmpty("HOME"),
  profile: nonEmpty("USERPROFILE")
})

const words = (text: string) =>
  text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "")

/**
 * The configuration from the environment: `TINKER_API_KEY`, `TINKER_CREDENTIAL_CMD`, the stored keys below `HOME`, `TINKER_BASE_URL`,
 * `TINKER_PROJECT_ID`, `TINKER_TAGS` (separated by commas), `TINKER_TELEMETRY` (off unless `1`, `true`, `yes` or `on`),
 * `TINKER_ENCODING` (`auto`, `protobuf` or `json`),
 * `CLOUDFLARE_ACCESS_CLIENT_ID` and `CLOUDFLARE_ACCESS_CLIENT_SECRET`. Options take precedence.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromConfig = (options: Options = {}): Effect.Effect<Service, TinkerError.InvalidInput> =>
  Effect.gen(function* () {
    const env = yield* environment
    const home = env.home ?? env.profile
    const credentials =
      options.credentials ??
      (yield* Credentials.make({
        apiKey: options.apiKey ?? env.apiKey,
        command: env.command,
        file: home === undefined ? undefined : `${home}/.tinker/credentials.json`
      }))
    return yield* make({
      credentials,
      baseUrl: options.baseUrl ?? env.baseUrl,
      projectId: options.projectId ?? env.projectId,
      tags: options.tags ?? words(env.tags ?? ""),
      userMetadata: options.userMetadata,
      displayName: options.displayName,
      headers: {
        ...(env.clientId === undefined ? {} : { "CF-Access-Client-Id": env.clientId }),
        ...(env.clientSecret === undefined ? {} : { "CF-Access-Client-Secret": env.clientSecret }),
        ...options.headers
      },
      telemetry: options.telemetry ?? /^(1|true|yes|on)$/i.test((env.telemetry ?? "1").trim()),
      maxResponseBytes: options.maxResponseBytes,
      encoding: options.encoding ?? (env.encoding?.trim().toLowerCase() as Encoding | undefined)
    })
  }).pipe(Effect.catchTag("ConfigError", (error: ConfigError.ConfigError) => invalid("environment", String(error))))

/**
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (options: Options = {}): Layer.Layer<TinkerConfig, TinkerError.InvalidInput> =>
  Layer.scoped(TinkerConfig, fromConfig(options))
