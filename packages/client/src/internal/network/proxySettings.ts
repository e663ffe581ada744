/** The proxies that the environment names, and which of them a URL goes through. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { entriesOf, hostOf, isExcluded, isLoopback } from "./noProxy.ts"

/** @internal */
export interface Proxy {
  readonly variable: string
  /** its URL without a path, user name and password */
  readonly origin: string
  /** the value of `Proxy-Authorization` */
  readonly authorization: Redacted.Redacted | undefined
  /** why it cannot be used */
  readonly problem: string | undefined
}

/** @internal */
export interface Settings {
  readonly http: Proxy | undefined
  readonly https: Proxy | undefined
  readonly excluded: ReadonlyArray<string>
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const authorizationOf = ({ password, username }: URL): Redacted.Redacted | undefined =>
  username === "" && password === ""
    ? undefined
    : Redacted.make(`Basic ${Encoding.encodeBase64(`${decode(username)}:${decode(password)}`)}`)

/** A proxy that cannot be used. The value is not shown: it may hold a password. */
const unusable = (variable: string, origin: string, problem: string): Proxy => ({
  variable,
  origin,
  authorization: undefined,
  problem
})

/** Reads a value such as `http://user:password@proxy:3128` or `proxy:3128`. */
const parseProxy = (variable: string, text: string): Proxy => {
  const trimmed = text.trim()
  const value = /^[a-z][a-z\d+.-]*:\/\//i.test(trimmed) ? trimmed : `http://${trimmed}`
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || url.hostname === "") {
    return unusable(variable, "of the environment", "is not a URL: set it to one such as http://proxy:3128")
  }
  const origin = `${url.protocol}//${url.host}`
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return unusable(variable, origin, "cannot be used: only those of http:// and https:// can")
  }
  return { variable, origin, authorization: authorizationOf(url), problem: undefined }
}

/** The first of these variables that is set, and is not empty. */
const firstOf = (names: ReadonlyArray<string>): Effect.Effect<readonly [string, string] | undefined> =>
  Effect.gen(function* () {
    for (const name of names) {
      const value = yield* Effect.orElseSucceed(Config.option(Config.string(name)), () => Option.none<string>())
      if (Option.isSome(value) && value.value.trim() !== "") return [name, value.value] as const
    }
    return undefined
  })

/** The names of a variable. As in curl, the one in lower case comes first. */
const namesOf = (name: string) => [name.toLowerCase(), name]

/** The settings of the environment; `undefined` if it names no proxy. @internal */
export const fromConfig: Effect.Effect<Settings | undefined> = Effect.gen(function* () {
  const http = yield* firstOf(namesOf("HTTP_PROXY"))
  const https = yield* firstOf(namesOf("HTTPS_PROXY"))
  if (http === undefined && https === undefined) return undefined
  const excluded = yield* firstOf(namesOf("NO_PROXY"))
  return {
    http: http && parseProxy(...http),
    https: https && parseProxy(...https),
    excluded: excluded === undefined ? [] : entriesOf(excluded[1])
  }
})

/** The proxy for a URL; `undefined` if it is reached directly, as this computer always is. @internal */
export const proxyFor = (settings: Settings, url: URL): Proxy | undefined => {
  const proxy = url.protocol === "https:" ? settings.https : settings.http
  if (proxy === undefined) return undefined
  const host = hostOf(url)
  return isLoopback(host.name) || isExcluded(settings.excluded, host) ? undefined : proxy
}
