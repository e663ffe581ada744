import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Credentials } from "../../Credentials.ts"
import type * as ClientFlags from "../../ClientFlags.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import * as jwt from "./jwt.ts"

const onDemandMillis = 60_000
const againMillis = 60_000

/** @internal */
export interface AccessTokens {
  /** what to send instead of a key, where the service exchanges keys; else the credential itself */
  readonly current: () => Effect.Effect<Redacted.Redacted, TinkerError.TinkerError>
  /** the credential itself */
  readonly plain: Effect.Effect<Redacted.Redacted, TinkerError.TinkerError>
  /** Another one in place of one that was rejected; all who held that share one exchange. */
  readonly replace: (rejected: Redacted.Redacted) => Effect.Effect<Redacted.Redacted, TinkerError.TinkerError>
}

interface Token {
  readonly value: Redacted.Redacted
  readonly expiresAt: number
}

/** @internal */
export const make = (options: {
  readonly credentials: Credentials
  readonly flags: Effect.Effect<ClientFlags.ClientConfig, TinkerError.TinkerError>
  /** the flags, once they have been asked for */
  readonly knownFlags: () => ClientFlags.ClientConfig | undefined
  /** asks the service for a token */
  readonly exchange: (
    credential: Redacted.Redacted,
    policy: RetryPolicy.RetryPolicy
  ) => Effect.Effect<string, TinkerError.TinkerError>
  readonly scope: Scope.Scope
}): Effect.Effect<AccessTokens> =>
  Effect.gen(function* () {
    const { credentials, exchange, flags, knownFlags, scope } = options
    const lock = yield* Effect.makeSemaphore(1)
    let token: Token | undefined
    let refreshing = false

    const commandFirst = Effect.map(flags, (config) => config.credential_default_source === "credential_cmd")

    const fetch = (policy: RetryPolicy.RetryPolicy) =>
      Effect.gen(function* () {
        const credential = yield* credentials.get({ commandFirst: yield* commandFirst, fresh: true })
        const text = yield* exchange(credential, policy)
        token = { value: Redacted.make(text), expiresAt: jwt.expiresAt(text) }
        if (!refreshing) {
          refreshing = true
          yield* Effect.forkIn(Effect.interruptible(refresh), scope)
        }
        return token.value
      })

    /** Half the lifetime, which both come from the service, so that a wrong clock does not matter. */
    const untilRefresh = Effect.gen(function* () {
      const { exp, iat } = jwt.claims(Redacted.value(token!.value)) ?? {}
      if (exp === undefined || iat === undefined || exp <= iat) return againMillis
      return (exp - iat) * 1000 * (yield* Random.nextRange(0.45, 0.55))
    })

    const refresh: Effect.Effect<void> = Effect.gen(function* () {
      let delay = yield* untilRefresh
      while (true) {
        yield* Effect.sleep(delay)
        const failed = yield* lock.withPermits(1)(
          fetch(RetryPolicy.never).pipe(
            Effect.as(undefined),
            Effect.catchAll((error) => Effect.succeed(error))
          )
        )
        delay = failed === undefined ? yield* untilRefresh : againMillis
        if (failed === undefined) continue
        yield* Effect.logWarning(`the token could not be refreshed: ${failed.message}`)
        const left = token!.expiresAt - (yield* Clock.currentTimeMillis)
        if (failed._tag === "Unauthorized" && left <= onDemandMillis + againMillis) {
          // the next one to need a token asks for it, and says why there is none
          refreshing = false
          return
        }
      }
    })

    const exchanged: AccessTokens["plain"] = Effect.gen(function* () {
      const usable = (now: number) => token !== undefined && token.expiresAt - now > onDemandMillis
      if (usable(yield* Clock.currentTimeMillis)) return token!.value
      return yield* lock.withPermits(1)(
        Effect.gen(function* () {
          const now = yield* Clock.currentTimeMillis
          if (usable(now)) return token!.value
          const old = token !== undefined && token.expiresAt > now ? token : undefined
          if (old === undefined) return yield* fetch(RetryPolicy.standard)
          return yield* fetch(RetryPolicy.never).pipe(
            Effect.catchAll((error) =>
              error._tag === "Unauthorized"
                ? Effect.fail(error)
                : Effect.as(Effect.logWarning(`the token could not be refreshed: ${error.message}`), old.value)
            )
          )
        })
      )
    })

    const currentUnder = (config: ClientFlags.ClientConfig): AccessTokens["plain"] =>
      config.pjwt_auth_enabled
        ? exchanged
        : credentials.get({ commandFirst: config.credential_default_source === "credential_cmd", fresh: false })

    return {
      plain: credentials.get({ commandFirst: false, fresh: false }),
      current: () => {
        const config = knownFlags()
        return config === undefined ? Effect.flatMap(flags, currentUnder) : currentUnder(config)
      },
      replace: (rejected) =>
        Effect.flatMap(flags, (config) =>
          config.pjwt_auth_enabled
            ? lock.withPermits(1)(
                Effect.suspend(() =>
                  token !== undefined && Redacted.value(token.value) !== Redacted.value(rejected)
                    ? Effect.succeed(token.value)
                    : fetch(RetryPolicy.standard)
                )
              )
            : credentials.get({ commandFirst: config.credential_default_source === "credential_cmd", fresh: true })
        )
    }
  })
