/** What requests send as their key: the credential, or an access token that it is exchanged for. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type * as ClientFlags from "../../ClientFlags.ts"
import type { Credentials } from "../../Credentials.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import { makeSemaphore } from "../effect/runtime.ts"
import * as jwt from "./jwt.ts"

// a token is exchanged for a new one when less than this is left of it
const minLifetimeMillis = 60_000
const retryMillis = 60_000

type Key = Effect.Effect<Redacted.Redacted, TinkerError.TinkerError>

/** @internal */
export interface Options {
  readonly credentials: Credentials
  readonly flags: Effect.Effect<ClientFlags.ClientConfig, TinkerError.TinkerError>
  /** the flags, once they have been requested */
  readonly knownFlags: () => ClientFlags.ClientConfig | undefined
  /** requests a token from the service */
  readonly exchange: (
    credential: Redacted.Redacted,
    policy: RetryPolicy.RetryPolicy
  ) => Effect.Effect<string, TinkerError.TinkerError>
  /** of the refreshes */
  readonly scope: Scope.Scope
}

interface Token {
  readonly value: Redacted.Redacted
  readonly expiresAt: number
}

const isUsable = (token: Token, now: number) => token.expiresAt - now > minLifetimeMillis

const logRefreshFailed = (error: TinkerError.TinkerError) =>
  Effect.logWarning(`the access token could not be refreshed: ${error.message}`)

const isCommandFirst = (flags: ClientFlags.ClientConfig) => flags.credential_default_source === "credential_cmd"

/** @internal */
export class AccessTokens {
  /** the credential itself */
  readonly plain: Key
  private readonly options: Options
  private readonly lock: Effect.Semaphore
  private token: Token | undefined = undefined
  private isRefreshing = false

  constructor(options: Options, lock: Effect.Semaphore) {
    this.options = options
    this.lock = lock
    this.plain = options.credentials.get({ commandFirst: false, fresh: false })
  }

  /** A token, where the service exchanges credentials for tokens; else the credential itself. */
  current(): Key {
    const { flags, knownFlags } = this.options
    const known = knownFlags()
    return known === undefined ? Effect.flatMap(flags, (flags) => this.currentUnder(flags)) : this.currentUnder(known)
  }

  /** Another key in place of a rejected one. Requests that were rejected with the same key share one exchange. */
  replace(rejected: Redacted.Redacted): Key {
    return Effect.flatMap(this.options.flags, (flags) =>
      flags.pjwt_auth_enabled
        ? this.lock.withPermits(1)(
            Effect.suspend(() =>
              this.token !== undefined && Redacted.value(this.token.value) !== Redacted.value(rejected)
                ? Effect.succeed(this.token.value)
                : this.fetch(RetryPolicy.standard)
            )
          )
        : this.options.credentials.get({ commandFirst: isCommandFirst(flags), fresh: true })
    )
  }

  private currentUnder(flags: ClientFlags.ClientConfig): Key {
    return flags.pjwt_auth_enabled
      ? this.usableToken
      : this.options.credentials.get({ commandFirst: isCommandFirst(flags), fresh: false })
  }

  private readonly usableToken: Key = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    this.token !== undefined && isUsable(this.token, now) ? Effect.succeed(this.token.value) : this.exchangeOnce
  )

  /** Exchanges under the lock. If that fails, a token that still lives is used to its end. */
  private readonly exchangeOnce: Key = Effect.suspend(() =>
    this.lock.withPermits(1)(
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const { token } = this
        if (token === undefined || token.expiresAt <= now) return this.fetch(RetryPolicy.standard)
        if (isUsable(token, now)) return Effect.succeed(token.value)
        return Effect.catchAll(this.fetch(RetryPolicy.never), (error) =>
          error._tag === "Unauthorized" ? Effect.fail(error) : Effect.as(logRefreshFailed(error), token.value)
        )
      })
    )
  )

  private fetch(policy: RetryPolicy.RetryPolicy): Key {
    const { credentials, exchange, flags, scope } = this.options
    return Effect.gen(this, function* () {
      const credential = yield* credentials.get({ commandFirst: isCommandFirst(yield* flags), fresh: true })
      const text = yield* exchange(credential, policy)
      const token = { value: Redacted.make(text), expiresAt: jwt.expiresAt(text) }
      this.token = token
      if (!this.isRefreshing) {
        this.isRefreshing = true
        yield* Effect.forkIn(Effect.interruptible(this.refresh), scope)
      }
      return token.value
    })
  }

  /** Half the lifetime. Both of its ends are by the service's clock, so that a wrong clock here does not matter. */
  private readonly refreshDelay = Effect.suspend(() => {
    const { exp, iat } = jwt.claims(Redacted.value(this.token!.value)) ?? {}
    return exp === undefined || iat === undefined || exp <= iat
      ? Effect.succeed(retryMillis)
      : Effect.map(Random.nextRange(0.45, 0.55), (fraction) => (exp - iat) * 1000 * fraction)
  })

  private readonly refresh: Effect.Effect<void> = Effect.gen(this, function* () {
    let delay = yield* this.refreshDelay
    while (true) {
      yield* Effect.sleep(delay)
      const fetched = yield* Effect.either(this.lock.withPermits(1)(this.fetch(RetryPolicy.never)))
      if (fetched._tag === "Right") {
        delay = yield* this.refreshDelay
        continue
      }
      delay = retryMillis
      yield* logRefreshFailed(fetched.left)
      const left = this.token!.expiresAt - (yield* Clock.currentTimeMillis)
      if (fetched.left._tag === "Unauthorized" && left <= minLifetimeMillis + retryMillis) {
        // the next request that needs a token fetches it, and fails with the reason if there is none
        this.isRefreshing = false
        return
      }
    }
  })
}

/** @internal */
export const make = (options: Options): Effect.Effect<AccessTokens> =>
  Effect.map(makeSemaphore(1), (lock) => new AccessTokens(options, lock))
