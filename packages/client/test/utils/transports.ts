/** A transport whose exchange follows a script, for requests without a client. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as Zstd from "@effect-tinker/api/Zstd"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as RetryPolicy from "../../src/RetryPolicy.ts"
import * as Telemetry from "../../src/Telemetry.ts"
import type { AccessTokens } from "../../src/internal/auth/accessTokens.ts"
import type { Failure } from "../../src/internal/network/failure.ts"
import type { PreparedRequest, SendOptions } from "../../src/internal/transport/exchange.ts"
import type { PendingRequest } from "../../src/internal/transport/request.ts"
import type { Transport } from "../../src/internal/transport/transport.ts"

/** What comes of one request: a response, a failure, a defect, or nothing. */
export type Outcome =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly text?: string }
  | Failure
  | "defect"
  | "silence"

export interface Event {
  readonly name: string
  readonly data: Readonly<Record<string, unknown>> | undefined
  readonly severity: string | undefined
}

/** The last outcome repeats. */
export const make = (...outcomes: ReadonlyArray<Outcome>) => {
  const requests: Array<PreparedRequest & Pick<SendOptions, "timeoutMillis" | "maxBytes" | "span" | "httpSpan">> = []
  const events: Array<Event> = []
  const state = { released: 0, token: "token-1", mayPause: true }
  const transport: Transport = {
    exchange: {
      headers: ["x-exchange", "1"],
      send: (request, { httpSpan, maxBytes, span, timeoutMillis }, handler) => {
        requests.push({ ...request, timeoutMillis, maxBytes, span, httpSpan })
        const outcome = outcomes[Math.min(requests.length, outcomes.length) - 1]!
        queueMicrotask(() => {
          if (outcome === "silence") return
          if (outcome === "defect") handler.onDefect(Cause.die("a defect of the exchange"))
          else if ("reason" in outcome) handler.onFailure(outcome)
          else {
            const { headers = {}, status, text = "" } = outcome
            handler.onResponse({ status, headers, body: new TextEncoder().encode(text) })
          }
        })
        return { release: () => void state.released++ }
      }
    },
    maxResponseBytes: 1000,
    origin: "https://service.test",
    basePath: "/api/v1",
    commonHeaders: { list: ["x-common", "2"], names: new Set(["x-common"]) },
    idempotencyPrefix: "prefix",
    zstd: {} as Zstd.Service,
    acceptsProtobuf: true,
    accessTokens: {
      plain: Effect.sync(() => Redacted.make("plain")),
      current: () => Effect.sync(() => Redacted.make("token-0")),
      replace: () => Effect.sync(() => Redacted.make(state.token))
    } as unknown as AccessTokens,
    telemetry: {
      ...Telemetry.disabled,
      event: (name, data, severity) => Effect.sync(() => void events.push({ name, data, severity }))
    },
    paymentPause: { mayPause: () => Effect.sync(() => state.mayPause) },
    deprecations: new Set(),
    httpSpans: true,
    retryWarnings: new Map(),
    calls: 0,
    edgeRejections: 0,
    isReachable: false
  }
  return { transport, requests, events, state }
}

/** A request that is ready for its first attempt. */
export const pending = (options: Partial<PendingRequest> = {}): PendingRequest => ({
  template: {
    method: "POST",
    origin: "https://service.test",
    path: "/api/v1/optim_step",
    common: ["x-common", "2"],
    headers: ["x-own", "3"],
    body: "{}",
    isForeign: false
  },
  endpoint: "optimStep",
  subject: { method: "optimStep", requestId: "r-1" },
  policy: RetryPolicy.standard,
  credential: "current",
  onRetry: undefined,
  queue: undefined,
  span: undefined,
  attempts: 0,
  report: undefined,
  ...options
})

/** The value of a header, or nothing. */
export const header = ({ headers }: PreparedRequest, name: string): string | undefined => {
  const at = headers.indexOf(name)
  return at < 0 ? undefined : headers[at + 1]
}

/** The error of an effect that fails. */
export const errorOf = <A>(effect: Effect.Effect<A, TinkerError.TinkerError>): Effect.Effect<TinkerError.TinkerError> =>
  Effect.flip(effect) as Effect.Effect<TinkerError.TinkerError>
