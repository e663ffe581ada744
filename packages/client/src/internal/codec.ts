import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

type AnySchema = Schema.Schema<unknown, unknown>

/** The encoder and decoder of an endpoint's JSON bodies. @internal */
export interface Codec {
  /** `undefined` where the endpoint takes no body */
  readonly encode: (payload: unknown) => Effect.Effect<string | undefined, ParseResult.ParseError>
  readonly decode: (body: string) => Effect.Effect<unknown, ParseResult.ParseError>
}

const make = (endpoint: HttpApiEndpoint.HttpApiEndpoint.AnyWithProps): Codec => {
  const success = endpoint.successSchema as unknown as AnySchema
  const encode = Option.map(endpoint.payloadSchema as Option.Option<unknown>, (schema) =>
    Schema.encode(schema as AnySchema)
  )
  return {
    encode: Option.match(encode, {
      onNone: () => () => Effect.succeed(undefined),
      onSome: (encode) => (payload) => Effect.map(encode(payload), (value) => JSON.stringify(value))
    }),
    decode: HttpApiSchema.isVoid(success.ast) ? () => Effect.void : Schema.decodeUnknown(Schema.parseJson(success))
  }
}

const codecs = new WeakMap<object, Codec>()

/** Compiled once an endpoint. @internal */
export const of = (endpoint: HttpApiEndpoint.HttpApiEndpoint.Any): Codec => {
  let codec = codecs.get(endpoint)
  if (codec === undefined) {
    codec = make(endpoint as HttpApiEndpoint.HttpApiEndpoint.AnyWithProps)
    codecs.set(endpoint, codec)
  }
  return codec
}

const issues = (error: ParseResult.ParseError) => ParseResult.ArrayFormatter.formatErrorSync(error)

const pathOf = (path: ReadonlyArray<PropertyKey>): string =>
  path
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`))
    .join("")
    .replace(/^\./, "")

/** The first problem, as a sentence that names the field. @internal */
export const reason = (error: ParseResult.ParseError): string => {
  const issue = issues(error)[0]
  return issue === undefined ? "unknown" : `${pathOf(issue.path) || "body"}: ${issue.message}`
}

/** @internal */
export const invalid = (method: string, error: ParseResult.ParseError, root = "request"): TinkerError.InvalidInput => {
  const issue = issues(error)[0]
  const path = issue === undefined ? "" : pathOf(issue.path)
  return new TinkerError.InvalidInput({
    method,
    path: path === "" ? root : path,
    reason: `is not valid: ${issue === undefined ? "unknown" : issue.message}`
  })
}

/** Reads a user's value, fills in the defaults, and names the field at fault. @internal */
export const input = <A, I>(method: string, root: string, schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknown(schema, { onExcessProperty: "error" })
  return (value: I): Effect.Effect<A, TinkerError.InvalidInput> =>
    Effect.mapError(decode(value), (error) => {
      const found = invalid(method, error, root)
      return found.path === root
        ? found
        : new TinkerError.InvalidInput({ method, path: `${root}.${found.path}`, reason: found.reason })
    })
}
