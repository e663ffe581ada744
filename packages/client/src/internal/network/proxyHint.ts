/** What users of `fetch` are told when a connection fails: on Node it ignores the proxies of the environment. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { platform } from "#platform"
import { fromConfig, proxyFor } from "./proxySettings.ts"

/** The hint for an origin; `undefined` if there is nothing to say. @internal */
export type ProxyHint = (origin: string) => string | undefined

/** Node 22.21 and 24 have a `fetch` that uses proxies if this is 1. */
const nodeOption = "NODE_USE_ENV_PROXY"

/** @internal */
export const make: Effect.Effect<ProxyHint> = Effect.gen(function* () {
  const settings = platform.runtime === "node" ? yield* fromConfig : undefined
  const option = yield* Effect.orElseSucceed(Config.option(Config.string(nodeOption)), () => Option.none<string>())
  if (settings === undefined || Option.contains(option, "1")) return () => undefined
  return (origin) => {
    const proxy = URL.canParse(origin) ? proxyFor(settings, new URL(origin)) : undefined
    if (proxy === undefined) return undefined
    return (
      `${proxy.variable} is set, which fetch ignores: use NodeHttpClient of @effect-tinker/client, ` +
      `or set ${nodeOption}=1 (Node 22.21 or 24)`
    )
  }
})
