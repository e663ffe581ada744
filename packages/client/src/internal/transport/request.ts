/** Builds the request of a call: its path, query, headers and body. */
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Zstd from "@effect-tinker/api/Zstd"
import * as Either from "effect/Either"
import type * as Redacted from "effect/Redacted"
import type * as RetryPolicy from "../../RetryPolicy.ts"
import * as codec from "../codec/endpoint.ts"
import type { RetryReport } from "../telemetry/retryReport.ts"
import { millis } from "../util/duration.ts"
import type { AnyCallOptions, CallOptions } from "./callOptions.ts"
import { type Endpoint, isBackground, ownerOf, sendsPlainCredential } from "../codec/endpointTraits.ts"
import type { HeaderList, PreparedRequest } from "./exchange.ts"
import * as headers from "./headers.ts"
import type { Transport } from "./transport.ts"

/** How errors name a request. @internal */
export interface Subject {
  readonly method: string
  readonly requestId?: string
}

/** A request without the headers that each attempt adds. @internal */
export interface RequestTemplate extends PreparedRequest {
  /** precede `headers`; shared by all requests, so that no copy is kept while one is in flight */
  readonly common: HeaderList
}

/** A request from its first attempt to its last. @internal */
export interface PendingRequest {
  readonly template: RequestTemplate
  readonly endpoint: string
  readonly subject: Subject
  readonly policy: RetryPolicy.RetryPolicy
  /** what is sent as `x-api-key`; `given`: it is among the headers already */
  readonly credential: "current" | "plain" | "given" | Redacted.Redacted
  readonly onRetry: CallOptions["onRetry"]
  readonly queue: CallOptions["queue"]
  readonly span: CallOptions["span"]
  attempts: number
  /** from the first failure that is retried */
  report: RetryReport | undefined
}

/** @internal */
export const urlOf = ({ origin, path }: PreparedRequest): string => `${origin}${path}`

/** @internal */
export const subjectOf = (endpoint: Endpoint, options: CallOptions): Subject => ({
  method: options.method ?? endpoint.name,
  ...(options.requestId === undefined ? {} : { requestId: options.requestId })
})

const credentialOf = (endpoint: Endpoint, options: CallOptions): PendingRequest["credential"] => {
  for (const name in options.headers) if (name.toLowerCase() === "x-api-key") return "given"
  return sendsPlainCredential(endpoint.name) ? "plain" : "current"
}

interface EncodedBody {
  readonly body: PreparedRequest["body"]
  readonly headers: HeaderList
}

const encodeBody = (
  endpoint: Endpoint,
  payload: unknown,
  options: CallOptions
): Either.Either<EncodedBody, TinkerError.InvalidInput> => {
  if (options.body !== undefined) {
    const { bytes, compress, contentType } = options.body
    const type = ["content-type", contentType]
    return Either.right({
      body: bytes,
      headers: compress === true ? [...type, "content-encoding", Zstd.contentEncoding] : type
    })
  }
  const json = codec.of(endpoint).encode(payload)
  if (Either.isLeft(json)) return Either.left(codec.invalid(options.method ?? endpoint.name, json.left))
  return Either.right(
    json.right === undefined
      ? { body: undefined, headers: [] }
      : { body: json.right, headers: ["content-type", "application/json"] }
  )
}

/** The headers that the client sets for this request; the caller's override them. */
const ownHeaders = (
  transport: Transport,
  endpoint: Endpoint,
  options: CallOptions,
  policy: RetryPolicy.RetryPolicy
): Array<string> => {
  const list = [
    "accept",
    options.protobuf === undefined || !transport.acceptsProtobuf
      ? "application/json"
      : `${ProtobufCodec.contentType}, application/json`,
    "x-stainless-read-timeout",
    String(millis(policy.timeout) / 1000)
  ]
  if (endpoint.method !== "GET") {
    list.push("x-idempotency-key", `${transport.idempotencyPrefix}-${++transport.calls}`)
  }
  if (!isBackground(endpoint.name)) {
    list.push("x-sdk-method", `${ownerOf(endpoint.name)}.${options.method ?? endpoint.name}`)
  }
  return list
}

/** Overrides headers by those of the caller. Returns the common headers that remain. */
const override = (transport: Transport, list: Array<string>, given: CallOptions["headers"]): HeaderList => {
  let common = transport.commonHeaders.list
  for (const key in given) {
    const name = key.toLowerCase()
    if (transport.commonHeaders.names.has(name)) common = headers.without(common, name)
    const at = headers.indexOf(list, name)
    if (at < 0) list.push(name, given[key]!)
    else list[at + 1] = given[key]!
  }
  return common
}

const build = (
  transport: Transport,
  endpoint: Endpoint,
  payload: unknown,
  options: AnyCallOptions,
  policy: RetryPolicy.RetryPolicy
): Either.Either<RequestTemplate, TinkerError.InvalidInput> => {
  const method = options.method ?? endpoint.name
  const path = codec.path(method, endpoint.path, options.path as never)
  if (Either.isLeft(path)) return Either.left(path.left)
  const query = codec.of(endpoint).query(options.urlParams)
  if (Either.isLeft(query)) return Either.left(codec.invalid(method, query.left))
  const list = ownHeaders(transport, endpoint, options, policy)
  const common = override(transport, list, options.headers)
  const encoded = encodeBody(endpoint, payload, options)
  if (Either.isLeft(encoded)) return Either.left(encoded.left)
  for (const part of encoded.right.headers) list.push(part)
  return Either.right({
    method: endpoint.method,
    origin: transport.origin,
    path: `${transport.basePath}${path.right}${query.right}`,
    common,
    headers: list,
    body: encoded.right.body,
    isForeign: false
  })
}

/** A request that is ready for its first attempt. @internal */
export const prepare = (
  transport: Transport,
  endpoint: Endpoint,
  payload: unknown,
  options: AnyCallOptions,
  policy: RetryPolicy.RetryPolicy,
  credential: PendingRequest["credential"] = credentialOf(endpoint, options)
): Either.Either<PendingRequest, TinkerError.InvalidInput> =>
  Either.map(build(transport, endpoint, payload, options, policy), (template) => ({
    template,
    endpoint: endpoint.name,
    subject: subjectOf(endpoint, options),
    policy,
    credential,
    onRetry: options.onRetry,
    queue: options.queue,
    span: options.span,
    attempts: 0,
    report: undefined
  }))
