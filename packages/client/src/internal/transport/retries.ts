/** Retries a request under its policy, and pauses it after a 402. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import * as RetryPolicy from "../../RetryPolicy.ts"
import * as Telemetry from "../../Telemetry.ts"
import * as retryReport from "../telemetry/retryReport.ts"
import { failingFirst } from "../util/backoff.ts"
import { attempt } from "./attempt.ts"
import type { RawResponse } from "./callOptions.ts"
import { isBackground } from "../codec/endpointTraits.ts"
import type { PendingRequest } from "./request.ts"
import type { Transport } from "./transport.ts"

type Response = Effect.Effect<RawResponse, TinkerError.TinkerError>

const defaultPause = Duration.seconds(5)

const reportTelemetry = (transport: Transport, pending: PendingRequest, error: TinkerError.TinkerError) =>
  isBackground(pending.endpoint)
    ? Effect.void
    : transport.telemetry.event(
        "InternalClientHolder.execute_with_retries.exception",
        { func: pending.subject.method, attempt_count: pending.attempts, ...Telemetry.describe(error) },
        error.category === "user" ? "WARNING" : "ERROR"
      )

/** Runs before each retry. */
const noteRetry = (transport: Transport, pending: PendingRequest, error: TinkerError.TinkerError) => {
  const { attempts, onRetry, queue, subject } = pending
  onRetry?.(error)
  pending.report ??= retryReport.make(transport.retryWarnings, queue)
  return Effect.andThen(
    Effect.logDebug(`retrying ${subject.method} after attempt ${attempts} failed: ${error.message}`),
    pending.report.onRetry(error)
  )
}

/** Sends the request again after a 402, for as long as the service's flags allow. */
const pauseAndRetry = (transport: Transport, pending: PendingRequest, error: TinkerError.PaymentRequired): Response =>
  Effect.flatMap(transport.paymentPause.mayPause(error), (mayPause) =>
    mayPause
      ? noteRetry(transport, pending, error).pipe(
          Effect.andThen(Effect.sleep(error.retryAfter ?? defaultPause)),
          Effect.andThen(Effect.suspend(() => send(transport, pending)))
        )
      : Effect.fail(error)
  )

/** Retries under the policy, starting from the first failure. */
const retry = (transport: Transport, pending: PendingRequest, first: TinkerError.TinkerError): Response =>
  failingFirst(first, () => attempt(transport, pending)).pipe(
    Effect.tapError((error) => reportTelemetry(transport, pending, error)),
    RetryPolicy.apply(pending.policy, (error) => noteRetry(transport, pending, error)),
    Effect.catchTag("PaymentRequired", (error) =>
      pending.policy.billingPause && error.shouldRetry !== false
        ? pauseAndRetry(transport, pending, error)
        : Effect.fail(error)
    ),
    Effect.ensuring(Effect.suspend(() => pending.report?.ended ?? Effect.void))
  )

const withSpan = <A, E>(span: Tracer.AnySpan | undefined, self: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  span === undefined ? self : Effect.withParentSpan(self, span)

/** Attempts until there is a success or a redirect. `first` is the first attempt, if it has been made already. @internal */
export const send = (transport: Transport, pending: PendingRequest, first?: Response): Response =>
  withSpan(
    pending.span,
    Effect.catchAll(first ?? attempt(transport, pending), (error) => retry(transport, pending, error))
  )
