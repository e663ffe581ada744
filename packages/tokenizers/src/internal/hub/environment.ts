/** The settings of the hub in the environment, by the names that the tools of Hugging Face use. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Options } from "./model.ts"

const optionalString = (name: string) => Config.option(Config.nonEmptyString(name))

const variables = Config.all({
  hubCache: optionalString("HF_HUB_CACHE"),
  hfHome: optionalString("HF_HOME"),
  xdgCache: optionalString("XDG_CACHE_HOME"),
  home: optionalString("HOME"),
  profile: optionalString("USERPROFILE"),
  token: Config.option(Config.redacted("HF_TOKEN")),
  tokenPath: optionalString("HF_TOKEN_PATH"),
  endpoint: optionalString("HF_ENDPOINT"),
  offline: optionalString("HF_HUB_OFFLINE")
})

type Variables = Config.Config.Success<typeof variables>

const isOn = (value: Option.Option<string>): boolean =>
  Option.isSome(value) && ["1", "on", "yes", "true"].includes(value.value.toLowerCase())

/** Where the cache and the token file are. */
const locate = (path: Path.Path, env: Variables): { readonly cache: string; readonly tokenFile: string } => {
  const home = Option.getOrElse(
    Option.orElse(env.home, () => env.profile),
    () => "."
  )
  const expand = (given: string) => given.replace(/^~(?=$|[\\/])/, () => home)
  const cacheHome = Option.match(env.xdgCache, { onNone: () => path.join(home, ".cache"), onSome: expand })
  const hfHome = Option.match(env.hfHome, { onNone: () => path.join(cacheHome, "huggingface"), onSome: expand })
  return {
    cache: Option.match(env.hubCache, { onNone: () => path.join(hfHome, "hub"), onSome: expand }),
    tokenFile: Option.match(env.tokenPath, { onNone: () => path.join(hfHome, "token"), onSome: expand })
  }
}

const isBlank = (token: Redacted.Redacted) => Redacted.value(token).trim() === ""

/** The token in the environment, or else the one that `hf auth login` saved. */
const findToken = (
  fs: FileSystem.FileSystem,
  env: Variables,
  tokenFile: string
): Effect.Effect<Redacted.Redacted | undefined> =>
  Effect.gen(function* () {
    const saved = Effect.orElseSucceed(Effect.map(fs.readFileString(tokenFile), Redacted.make<string>), () => undefined)
    const token = Option.isSome(env.token) && !isBlank(env.token.value) ? env.token.value : yield* saved
    return token === undefined || isBlank(token) ? undefined : Redacted.make(Redacted.value(token).trim())
  })

/** @internal */
export const readOptions = (
  options: Partial<Options>
): Effect.Effect<Options, ConfigError.ConfigError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const env = yield* variables
    const { cache, tokenFile } = locate(yield* Path.Path, env)
    const token = yield* findToken(fs, env, tokenFile)
    return {
      cache: options.cache ?? cache,
      token: options.token ?? token,
      endpoint: options.endpoint ?? Option.getOrUndefined(env.endpoint),
      offline: options.offline ?? isOn(env.offline)
    }
  })
