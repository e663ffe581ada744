/** What requests send as their key: the credential, or an access token that it is exchanged for. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import type * as ClientFlags from "../../ClientFlags.ts"
import type { Credentials } from "../../Credentials.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import { checkHeader, headerProblem } from "./credential.ts"
import * as lease from "./lease.ts"
import { type Known, Renewal } from "./renewal.ts"

const retryMillis = 60_000
const minRetryMillis = 1_000
// timers cannot be longer by much
const maxDelayMillis = 24 * 60 * 60 * 1000

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
  /** the fiber that refreshes tokens runs in it */
  readonly scope: Scope.Scope
}

const isCommandFirst = (flags: ClientFlags.ClientConfig) => flags.credential_default_source === "credential_cmd"

/** Half the lifetime. Both of its ends are by the service's clock, so that a wrong clock here does not matter. */
const refreshDelay = (token: Redacted.Redacted): Effect.Effect<number> => {
  const lifetime = lease.lifetimeOf(Redacted.value(token))
  return lifetime === undefined
    ? Effect.succeed(retryMillis)
    : Effect.map(Random.nextRange(0.45, 0.55), (fraction) =>
        Math.min(Math.max(Math.ceil(lifetime * fraction), minRetryMillis), maxDelayMillis)
      )
}

const accepted = new WeakSet<Redacted.Redacted>()

/** A credential that a header can hold; sources that a program adds may return any text. */
const checked = (key: Key): Key =>
  Exit.isExit(key) && Exit.isSuccess(key) && accepted.has(key.value as Redacted.Redacted)
    ? key
    : Effect.tap(
        Effect.flatMap(key, (credential) => checkHeader("credentials", credential)),
        (credential) => Effect.sync(() => accepted.add(credential))
      )

/** @internal */
export class AccessTokens {
  /** the credential itself */
  readonly plain: Key
  private readonly options: Options
  private readonly tokens: Renewal
  private isRefreshing = false

  constructor(options: Options) {
    this.options = options
    this.plain = checked(options.credentials.get({ commandFirst: false, fresh: false }))
    this.tokens = new Renewal({ name: "the access token", fetch: (known) => this.fetch(known) })
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
      flags.pjwt_auth_enabled ? this.tokens.replace(rejected) : this.replaceCredential(flags, rejected)
    )
  }

  /** Interrupts an exchange in progress. */
  readonly interrupt: Effect.Effect<void> = Effect.suspend(() => this.tokens.interrupt)

  private currentUnder(flags: ClientFlags.ClientConfig): Key {
    return flags.pjwt_auth_enabled ? this.tokens.get : this.credential(flags)
  }

  private credential(flags: ClientFlags.ClientConfig): Key {
    return checked(this.options.credentials.get({ commandFirst: isCommandFirst(flags), fresh: false }))
  }

  private replaceCredential(flags: ClientFlags.ClientConfig, rejected: Redacted.Redacted): Key {
    return checked(this.options.credentials.get({ commandFirst: isCommandFirst(flags), fresh: true, rejected }))
  }

  private fetch({ held }: Known): Effect.Effect<lease.Lease, TinkerError.TinkerError> {
    const policy = held === undefined ? RetryPolicy.standard : RetryPolicy.never
    return Effect.gen(this, function* () {
      const flags = yield* this.options.flags
      const token = yield* this.exchange(flags, policy)
      const { held } = this.tokens
      const issued = lease.ofIssuedToken(token, yield* Clock.currentTimeMillis, held)
      if (!this.isRefreshing) {
        this.isRefreshing = true
        yield* Effect.forkIn(Effect.interruptible(this.refresh(token)), this.options.scope)
      }
      return issued
    })
  }

  /** Exchanges the credential. If the service rejects it, and there is another one by now, that one is exchanged. */
  private exchange(flags: ClientFlags.ClientConfig, policy: RetryPolicy.RetryPolicy): Key {
    return Effect.gen(this, function* () {
      const credential = yield* this.credential(flags)
      const token = yield* Effect.catchTag(this.options.exchange(credential, policy), "Unauthorized", (error) =>
        Effect.flatMap(this.replaceCredential(flags, credential), (other) =>
          Redacted.value(other) === Redacted.value(credential)
            ? Effect.fail(error)
            : this.options.exchange(other, policy)
        )
      )
      const problem = headerProblem(token)
      if (problem !== undefined) {
        return yield* new TinkerError.DecodeError({ method: "authToken", reason: `jwt: ${problem}` })
      }
      return Redacted.make(token)
    })
  }

  /** Renews tokens at half their lifetime until one has expired: the next request that needs one starts it again. */
  private refresh(first: Redacted.Redacted): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      let token = first
      let delay = yield* refreshDelay(token)
      while (true) {
        yield* Effect.sleep(delay)
        const { held } = this.tokens
        const isReplaced = held !== undefined && held.value !== token
        const renewed = isReplaced ? Either.right(held.value) : yield* Effect.either(this.tokens.renew)
        if (Either.isRight(renewed)) {
          token = renewed.right
          delay = yield* refreshDelay(token)
        } else if (held === undefined || held.expiresAt <= (yield* Clock.currentTimeMillis)) {
          this.isRefreshing = false
          return
        } else {
          delay = retryMillis
        }
      }
    })
  }
}

/** The exchange ends with the scope. @internal */
export const make = (options: Options): Effect.Effect<AccessTokens> =>
  Effect.gen(function* () {
    const tokens = new AccessTokens(options)
    yield* Scope.addFinalizer(options.scope, tokens.interrupt)
    return tokens
  })
