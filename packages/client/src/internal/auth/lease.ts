/** How long a credential is used: by the claims of a token and the local clock, which may be wrong. */
import * as Redacted from "effect/Redacted"
import * as jwt from "./jwt.ts"

/** A credential with the times, by the local clock, at which it is renewed and expires. @internal */
export interface Lease {
  readonly value: Redacted.Redacted
  readonly renewAt: number
  readonly expiresAt: number
}

// a credential without an expiry is renewed after this
const renewalMillis = 5 * 60_000
// a token is renewed when less than this is left of it, or less than half of a short one
const marginMillis = 60_000
// between two renewals, also where a token has almost expired by the clock
const minIntervalMillis = 5_000
// a token that lives longer is held at least this long, even if the clock says that it has less
const minHoldMillis = 30_000

const lease = (value: Redacted.Redacted, now: number, remaining: number): Lease => ({
  value,
  expiresAt: now + remaining,
  renewAt: now + Math.max(remaining - Math.min(marginMillis, remaining / 2), minIntervalMillis)
})

/**
 * The time from a token's issue to its expiry, by the clock of its issuer; `undefined` without such claims.
 *
 * @internal
 */
export const lifetimeOf = (credential: string): number | undefined => {
  const { exp, iat } = jwt.claims(credential) ?? {}
  return exp === undefined || iat === undefined || exp <= iat ? undefined : (exp - iat) * 1000
}

/**
 * The lease of a credential that may have been issued a while ago. The clock decides as long as it agrees with the claims.
 * If by the clock the token has expired or is not issued yet, the clock is wrong, and the token has its whole lifetime: the
 * service rejects one that has less.
 *
 * @internal
 */
export const ofCredential = (value: Redacted.Redacted, now: number): Lease => {
  const expiry = jwt.expiresAt(Redacted.value(value))
  if (expiry === Number.POSITIVE_INFINITY) return { value, renewAt: now + renewalMillis, expiresAt: expiry }
  const lifetime = lifetimeOf(Redacted.value(value))
  const remaining = expiry - now
  if (lifetime === undefined) return lease(value, now, remaining)
  return remaining <= 0 || remaining > lifetime
    ? lease(value, now, lifetime)
    : lease(value, now, Math.max(remaining, Math.min(lifetime, minHoldMillis)))
}

/**
 * The lease of a token that the service has just issued: its whole lifetime, whatever the clock says. A token that is issued
 * a second time keeps its expiry.
 *
 * @internal
 */
export const ofIssuedToken = (value: Redacted.Redacted, now: number, held: Lease | undefined): Lease => {
  const expiry = jwt.expiresAt(Redacted.value(value))
  const lifetime = lifetimeOf(Redacted.value(value)) ?? (expiry > now ? expiry - now : renewalMillis)
  const isSame = held !== undefined && Redacted.value(held.value) === Redacted.value(value)
  return lease(value, now, isSame ? Math.max(Math.min(lifetime, held.expiresAt - now), minHoldMillis) : lifetime)
}
