/** Request headers as lists, and those that all requests of a client have in common. */
import * as HttpTraceContext from "@effect/platform/HttpTraceContext"
import * as Redacted from "effect/Redacted"
import type * as Tracer from "effect/Tracer"
import { platform } from "#platform"
import type * as TinkerConfig from "../../TinkerConfig.ts"
import { type Caller, parentSpanOf } from "../effect/runtime.ts"
import { userAgent, version } from "../util/version.ts"
import type { HeaderList } from "./exchange.ts"

/** The index of a name, or -1. @internal */
export const indexOf = (headers: HeaderList, name: string): number => {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return i
  return -1
}

/** @internal */
export const without = (headers: HeaderList, name: string): HeaderList =>
  headers.filter((_, i) => headers[i - (i % 2)] !== name)

/** @internal */
export interface CommonHeaders {
  readonly list: HeaderList
  readonly names: ReadonlySet<string>
}

/** The headers of every request: the exchange's, the client's, and those of the configuration. @internal */
export const common = (exchangeHeaders: HeaderList, config: TinkerConfig.Service): CommonHeaders => {
  const list: HeaderList = [
    ...exchangeHeaders,
    "user-agent",
    userAgent,
    "x-sdk-version",
    version,
    "x-stainless-package-version",
    version,
    "x-stainless-os",
    platform.os,
    "x-stainless-arch",
    platform.arch,
    "x-stainless-runtime",
    platform.runtime,
    "x-stainless-runtime-version",
    platform.runtimeVersion,
    ...Object.entries(config.headers).flatMap(([name, value]) => [name, Redacted.value(value)])
  ]
  return { list, names: new Set(list.filter((_, i) => i % 2 === 0)) }
}

/** Headers whose values no span shows. @internal */
export const secretNames = (config: TinkerConfig.Service): ReadonlyArray<string> => [
  "x-api-key",
  "x-tinker-weights-access-token",
  ...Object.keys(config.headers)
]

const none: HeaderList = []

/** `traceparent` and `b3` of the span, or of the caller's current span. @internal */
export const traceHeaders = (caller: Caller, span: Tracer.AnySpan | undefined): HeaderList => {
  const parent = span ?? parentSpanOf(caller)
  if (parent === undefined) return none
  const { b3, traceparent } = HttpTraceContext.toHeaders(parent as Tracer.Span)
  return ["traceparent", traceparent!, "b3", b3!]
}
