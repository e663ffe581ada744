/** Keeps a credential and renews it before it expires. All callers share one renewal at a time. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { makeDeferred } from "../effect/runtime.ts"
import { jittered } from "../util/backoff.ts"
import type { Lease } from "./lease.ts"

type Credential = Effect.Effect<Redacted.Redacted, TinkerError.TinkerError>

/** What is known when a credential is fetched. @internal */
export interface Known {
  /** the current credential if it is still valid, so that this renewal may fail */
  readonly held: Lease | undefined
  /** the last one that the service rejected */
  readonly rejected: Redacted.Redacted | undefined
}

/** @internal */
export interface Options {
  /** what is renewed, in the words of a log line */
  readonly name: string
  readonly fetch: (known: Known) => Effect.Effect<Lease, TinkerError.TinkerError>
}

interface Running {
  readonly result: Deferred.Deferred<Redacted.Redacted, TinkerError.TinkerError>
  readonly startedAt: number
  /** there is no valid credential without it */
  readonly isRequired: boolean
}

// how long a caller with a valid credential waits for a better one
const maxWaitMillis = 5_000
const firstRetryMillis = 1_000
const lastRetryMillis = 60_000
// thousands of callers may retry independently: after this many failures in a row the attempts are spaced
const maxQuickFailures = 8
const spacingMillis = 5_000

const describe = (name: string, error: TinkerError.TinkerError): string =>
  error._tag === "CredentialCommandFailed"
    ? `${error.path} ${error.reason}`
    : `${name} could not be renewed: ${error.message.replace(/\.$/, "")}`

/** @internal */
export class Renewal {
  private readonly options: Options
  private lease: Lease | undefined = undefined
  private rejected: Redacted.Redacted | undefined = undefined
  private running: Running | undefined = undefined
  private fiber: Fiber.Fiber<unknown> | undefined = undefined
  private failures = 0
  /** when callers without a credential may start the next attempt */
  private notBefore = 0
  /** of the last failure without a valid credential */
  private lastReason: string | undefined = undefined
  /** when to retry after a failure, while the current credential is valid */
  private retryAt = 0

  constructor(options: Options) {
    this.options = options
  }

  /** The current credential, which may have expired. */
  get held(): Lease | undefined {
    return this.lease
  }

  /**
   * The current credential while it is valid. If its renewal is due, it is renewed first; a failed renewal fails no
   * call.
   */
  readonly get: Credential = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const { lease } = this
    if (lease === undefined || lease.expiresAt <= now) return this.required
    if (now < Math.max(lease.renewAt, this.retryAt)) return Effect.succeed(lease.value)
    return this.renewWithin(lease, now)
  })

  /** Renews a valid credential that need not be due, and fails if that fails. */
  readonly renew: Credential = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    this.lease === undefined || this.lease.expiresAt <= now
      ? this.required
      : Effect.flatMap(this.runningOrNew(now, false), ({ result }) => Deferred.await(result))
  )

  /** Another credential in place of a rejected one. Callers whose requests were rejected with the same one share it. */
  replace(rejected: Redacted.Redacted): Credential {
    return Effect.suspend(() => {
      if (this.lease !== undefined && Redacted.value(this.lease.value) === Redacted.value(rejected)) {
        this.lease = undefined
        this.rejected = rejected
      }
      return this.get
    })
  }

  /** Interrupts the renewal that is running, if one is. */
  readonly interrupt: Effect.Effect<void> = Effect.suspend(() =>
    this.fiber === undefined ? Effect.void : Effect.asVoid(Fiber.interrupt(this.fiber))
  )

  /** Waits for a renewal that must succeed. One that started while a credential was valid retries less. */
  private readonly required: Credential = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.flatMap(this.runningOrNew(now, true), ({ isRequired, result }) =>
      isRequired ? Deferred.await(result) : Effect.flatMap(Effect.exit(Deferred.await(result)), () => this.get)
    )
  )

  private renewWithin(lease: Lease, now: number): Credential {
    return Effect.flatMap(this.runningOrNew(now, false), ({ result, startedAt }) => {
      const waitMillis = Math.ceil(Math.min(maxWaitMillis - (now - startedAt), (lease.expiresAt - now) / 2))
      if (waitMillis <= 0) return Effect.succeed(lease.value)
      // the renewal logs its failure
      return Effect.catchAll(Deferred.await(result), () => Effect.succeed(lease.value)).pipe(
        Effect.timeoutTo({
          duration: waitMillis,
          onTimeout: () => lease.value,
          onSuccess: (credential) => credential
        })
      )
    })
  }

  /** The renewal runs in a separate fiber: interrupting a caller does not interrupt it. */
  private runningOrNew(now: number, isRequired: boolean): Effect.Effect<Running> {
    return Effect.uninterruptible(
      Effect.suspend(() => {
        if (this.running !== undefined) return Effect.succeed(this.running)
        const running: Running = { result: makeDeferred(), startedAt: now, isRequired }
        this.running = running
        return Effect.map(Effect.forkDaemon(Effect.interruptible(this.run(running))), (fiber) => {
          // it may have ended already
          if (this.running === running) this.fiber = fiber
          return running
        })
      })
    )
  }

  private run({ isRequired, result }: Running): Effect.Effect<void> {
    const held = isRequired ? undefined : this.lease
    return this.spacing(isRequired).pipe(
      Effect.flatMap(() => this.options.fetch({ held, rejected: this.rejected })),
      Effect.map((lease) => this.hold(lease)),
      Effect.tapError((error) => this.noteFailure(error, held)),
      Effect.onInterrupt(() => Deferred.fail(result, new TinkerError.ClientClosed({ method: "Credentials" }))),
      Effect.onExit((exit) =>
        Effect.suspend(() => {
          this.running = undefined
          this.fiber = undefined
          return Deferred.done(result, exit)
        })
      ),
      Effect.exit,
      Effect.asVoid
    )
  }

  private spacing(isRequired: boolean): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) =>
      isRequired && now < this.notBefore ? Effect.sleep(this.notBefore - now) : Effect.void
    )
  }

  private hold(lease: Lease): Redacted.Redacted {
    this.lease = lease
    this.failures = 0
    this.retryAt = 0
    this.notBefore = 0
    this.lastReason = undefined
    return lease.value
  }

  private noteFailure(error: TinkerError.TinkerError, held: Lease | undefined): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const now = yield* Clock.currentTimeMillis
      this.retryAt = now + (yield* jittered(firstRetryMillis, lastRetryMillis, this.failures++))
      this.notBefore = error.isRetryable && this.failures >= maxQuickFailures ? now + spacingMillis : 0
      yield* this.logFailure(error, held)
    })
  }

  /** Without a valid credential the callers get the error: one line suffices until there is another reason. */
  private logFailure(error: TinkerError.TinkerError, held: Lease | undefined): Effect.Effect<void> {
    const reason = describe(this.options.name, error)
    if (held !== undefined) {
      return Effect.logWarning(`${reason}. The current credential is used for as long as it is valid.`)
    }
    const isKnown = this.lastReason === reason
    this.lastReason = reason
    return error.isRetryable && !isKnown
      ? Effect.logWarning(`${reason}. There is no valid credential; requests try again.`)
      : Effect.logDebug(reason)
  }
}
