/** Encodes and decodes the JSON bodies, paths and queries of endpoints; reads and validates user input. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { firstIssue, type ParseError } from "../effect/parseError.ts"
import * as fastJson from "./fastJson.ts"

type AnySchema = Schema.Schema<unknown, unknown>

/** The encoder and decoder of an endpoint's JSON bodies. @internal */
export interface Codec {
  /** `undefined` where the endpoint takes no body */
  readonly encode: (payload: unknown) => Either.Either<string | undefined, ParseError>
  readonly decode: (body: string) => Either.Either<unknown, ParseError>
  /** the query with its `?`; empty where there is none */
  readonly query: (params: unknown) => Either.Either<string, ParseError>
}

const noBody = Either.right(undefined)
const noQuery = Either.right("")

/** Form-encoded, without the parameters that are absent. */
const toQuery = (params: object): string => {
  const query = new URLSearchParams(
    Object.entries(params).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]]))
  ).toString()
  return query === "" ? "" : `?${query}`
}

const fastCodecs = new Map<
  object,
  {
    readonly encode?: (payload: unknown) => string | undefined
    readonly decode?: (body: string) => unknown
  }
>([
  [TinkerApi.asample, { encode: fastJson.encodeSampleRequest, decode: fastJson.decodeEnvelope }],
  [TinkerApi.retrieveFuture, { encode: fastJson.encodeRetrieveFuture }]
])

/** The fast codec, or the schema's for values that the fast one does not support. */
const fastOr = <I, A>(
  fast: ((input: I) => A | undefined) | undefined,
  bySchema: (input: I) => Either.Either<A, ParseError>
): typeof bySchema =>
  fast === undefined
    ? bySchema
    : (input) => {
        const found = fast(input)
        return found === undefined ? bySchema(input) : Either.right(found)
      }

const make = (endpoint: HttpApiEndpoint.HttpApiEndpoint.AnyWithProps): Codec => {
  const success = endpoint.successSchema as unknown as AnySchema
  const encode = Option.map(endpoint.payloadSchema as Option.Option<unknown>, (schema) =>
    Schema.encodeEither(schema as AnySchema)
  )
  const bySchema: Pick<Codec, "encode" | "decode"> = {
    encode: Option.match(encode, {
      onNone: () => () => noBody,
      onSome: (encode) => (payload) => Either.map(encode(payload), (value) => JSON.stringify(value))
    }),
    decode: HttpApiSchema.isVoid(success.ast) ? () => noBody : Schema.decodeUnknownEither(Schema.parseJson(success))
  }
  const fast = fastCodecs.get(endpoint)
  return {
    encode: fastOr(fast?.encode, bySchema.encode),
    decode: fastOr(fast?.decode, bySchema.decode),
    query: Option.match(endpoint.urlParamsSchema as Option.Option<unknown>, {
      onNone: () => () => noQuery,
      onSome: (schema) => {
        const encode = Schema.encodeEither(schema as AnySchema)
        return (params) => Either.map(encode(params ?? {}), (encoded) => toQuery(encoded as object))
      }
    })
  }
}

const codecs = new WeakMap<object, Codec>()

/** Compiled once for each endpoint. @internal */
export const of = (endpoint: HttpApiEndpoint.HttpApiEndpoint.Any): Codec => {
  let codec = codecs.get(endpoint)
  if (codec === undefined) {
    codec = make(endpoint as HttpApiEndpoint.HttpApiEndpoint.AnyWithProps)
    codecs.set(endpoint, codec)
  }
  return codec
}

const pathOf = (path: ReadonlyArray<PropertyKey>): string =>
  path
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`))
    .join("")
    .replace(/^\./, "")

/**
 * A path with its parameters in place of their `:names`. Ids are not percent-encoded; one that would change the path is
 * rejected.
 *
 * @internal
 */
export const path = (
  method: string,
  template: string,
  parts: { readonly [name: string]: unknown } = {}
): Either.Either<string, TinkerError.InvalidInput> => {
  if (!template.includes(":")) return Either.right(template)
  const out: Array<string> = []
  for (const segment of template.split("/")) {
    const name = /^:(\w+)$/.exec(segment)?.[1]
    if (name === undefined) {
      out.push(segment)
      continue
    }
    const value = String(parts[name] ?? "")
    if (value === "" || /[^\x21-\x7e]|[/\\?#%]/.test(value) || /^\.+$/.test(value)) {
      return Either.left(
        new TinkerError.InvalidInput({ method, path: name, reason: `is ${JSON.stringify(value)}, which is not an id` })
      )
    }
    out.push(value)
  }
  return Either.right(out.join("/"))
}

/** The first problem, as a sentence that names the field. @internal */
export const reason = (error: ParseError): string => {
  const issue = firstIssue(error)
  return issue === undefined ? "unknown" : `${pathOf(issue.path) || "body"}: ${issue.message}`
}

/** @internal */
export const invalid = (method: string, error: ParseError, root = "request"): TinkerError.InvalidInput => {
  const issue = firstIssue(error)
  const path = issue === undefined ? "" : pathOf(issue.path)
  return new TinkerError.InvalidInput({
    method,
    path: path === "" ? root : path,
    reason: `is not valid: ${issue === undefined ? "unknown" : issue.message}`
  })
}

/** Decodes a value that a user gave, and fills in the defaults. The error names the field. @internal */
export const input = <A, I>(method: string, root: string, schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknownEither(schema, { onExcessProperty: "error" })
  return (value: I): Either.Either<A, TinkerError.InvalidInput> =>
    Either.mapLeft(decode(value), (error) => {
      const found = invalid(method, error, root)
      return found.path === root
        ? found
        : new TinkerError.InvalidInput({ method, path: `${root}.${found.path}`, reason: found.reason })
    })
}
