/** The settings of the hub in the environment, by the names that the tools of Hugging Face use. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Options } from "./model.ts"
import { normalizeEndpoint } from "./settings.ts"

const optionalString = (name: string) => Config.option(Config.nonEmptyString(name))

const variables = Config.all({
  hubCache: optionalString("HF_HUB_CACHE"),
  oldHubCache: optionalString("HUGGINGFACE_HUB_CACHE"),
  hfHome: optionalString("HF_HOME"),
  xdgCache: optionalString("XDG_CACHE_HOME"),
  home: optionalString("HOME"),
  profile: optionalString("USERPROFILE"),
  token: Config.option(Config.redacted("HF_TOKEN")),
  tokenPath: optionalString("HF_TOKEN_PATH"),
  endpoint: optionalString("HF_ENDPOINT"),
  hubOffline: optionalString("HF_HUB_OFFLINE"),
  transformersOffline: optionalString("TRANSFORMERS_OFFLINE")
})

type Variables = Config.Config.Success<typeof variables>

const isOn = (value: Option.Option<string>): boolean =>
  Option.isSome(value) && ["1", "on", "yes", "true"].includes(value.value.toLowerCase())

/** The home directory, by the variable of the operating system. */
const homeDirectory = (path: Path.Path, { home, profile }: Variables): string => {
  const [first, second] = path.sep === "\\" ? [profile, home] : [home, profile]
  return Option.getOrElse(
    Option.orElse(first, () => second),
    () => "."
  )
}

/** Replaces `~` at the beginning, and `$NAME` or `${NAME}` where the variable is set. */
const expand = (given: string, home: string): Effect.Effect<string, ConfigError.ConfigError> =>
  Effect.gen(function* () {
    let text = given.replace(/^~(?=$|[\\/])/, () => home)
    const names = new Set(Array.from(text.matchAll(/\$(?:\{(\w+)\}|(\w+))/g), ([, braced, plain]) => braced ?? plain!))
    for (const name of names) {
      const value = yield* Config.option(Config.string(name))
      const reference = new RegExp(`\\$(?:\\{${name}\\}|${name}(?!\\w))`, "g")
      if (Option.isSome(value)) text = text.replace(reference, () => value.value)
    }
    return text
  })

/** Where the cache and the token file are. */
const locate = (path: Path.Path, env: Variables) =>
  Effect.gen(function* () {
    const home = homeDirectory(path, env)
    const cacheHome = Option.getOrElse(env.xdgCache, () => path.join(home, ".cache"))
    const hfHome = yield* expand(
      Option.getOrElse(env.hfHome, () => path.join(cacheHome, "huggingface")),
      home
    )
    const cache = Option.orElse(env.hubCache, () => env.oldHubCache)
    return {
      cache: yield* expand(
        Option.getOrElse(cache, () => path.join(hfHome, "hub")),
        home
      ),
      tokenFile: yield* expand(
        Option.getOrElse(env.tokenPath, () => path.join(hfHome, "token")),
        home
      )
    }
  })

const isBlank = (token: Redacted.Redacted) => Redacted.value(token).trim() === ""

/** The token that `hf auth login` saved. */
const readTokenFile = (fs: FileSystem.FileSystem, file: string): Effect.Effect<Redacted.Redacted | undefined> =>
  Effect.map(fs.readFileString(file), Redacted.make<string>).pipe(
    Effect.catchAll((error) =>
      error._tag === "SystemError" && error.reason === "NotFound"
        ? Effect.succeed(undefined)
        : Effect.as(Effect.logWarning(`the token in ${file} was not read: ${error.message}`), undefined)
    )
  )

/** The token in the environment, or else the saved one. */
const findToken = (
  fs: FileSystem.FileSystem,
  env: Variables,
  tokenFile: string
): Effect.Effect<Redacted.Redacted | undefined> =>
  Effect.gen(function* () {
    const isGiven = Option.isSome(env.token) && !isBlank(env.token.value)
    const token = isGiven ? Option.getOrThrow(env.token) : yield* readTokenFile(fs, tokenFile)
    return token === undefined || isBlank(token) ? undefined : Redacted.make(Redacted.value(token).trim())
  })

/** The endpoint in its normal form; a malformed one as it is, because only its use shall fail. */
const normalEndpoint = (given: string): string => Either.getOrElse(normalizeEndpoint(given), () => given)

/** @internal */
export const readOptions = (
  options: Partial<Options>
): Effect.Effect<Options, ConfigError.ConfigError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const env = yield* variables
    const { cache, tokenFile } = yield* locate(yield* Path.Path, env)
    const token = options.token ?? (yield* findToken(fs, env, tokenFile))
    return {
      cache: options.cache ?? cache,
      token,
      endpoint: options.endpoint ?? Option.getOrUndefined(Option.map(env.endpoint, normalEndpoint)),
      // as in Python, where HF_HUB_OFFLINE=0 wins over TRANSFORMERS_OFFLINE=1
      offline: options.offline ?? isOn(Option.orElse(env.hubOffline, () => env.transformersOffline))
    }
  })
