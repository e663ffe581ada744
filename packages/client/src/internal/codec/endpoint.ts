import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { firstIssue, type ParseError } from "../effect/parseError.ts"
import * as shortCodecs from "./fastJson.ts"

type AnySchema = Schema.Schema<unknown, unknown>

/** The encoder and decoder of an endpoint's JSON bodies. @internal */
export interface Codec {
  /** `undefined` where the endpoint takes no body */
  readonly encode: (payload: unknown) => Either.Either<string | undefined, ParseError>
  readonly decode: (body: string) => Either.Either<unknown, ParseError>
  /** what stands behind the path, from `?` on; empty where there is nothing */
  readonly query: (params: unknown) => Either.Either<string, ParseError>
}

const nothing = Either.right(undefined)
const noQuery = Either.right("")

/** In form encoding; what is absent is left out. */
const toQuery = (params: object): string => {
  const query = new URLSearchParams(
    Object.entries(params).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]]))
  ).toString()
  return query === "" ? "" : `?${query}`
}

const shortOf = new Map<
  object,
  {
    readonly encode?: (payload: unknown) => string | undefined
    readonly decode?: (body: string) => unknown
  }
>([
  [TinkerApi.asample, { encode: shortCodecs.encodeSampleRequest, decode: shortCodecs.decodeEnvelope }],
  [TinkerApi.retrieveFuture, { encode: shortCodecs.encodeRetrieveFuture }]
])

const orElse = <I, A>(
  short: ((input: I) => A | undefined) | undefined,
  long: (input: I) => Either.Either<A, ParseError>
): typeof long =>
  short === undefined
    ? long
    : (input) => {
        const found = short(input)
        return found === undefined ? long(input) : Either.right(found)
      }

const make = (endpoint: HttpApiEndpoint.HttpApiEndpoint.AnyWithProps): Codec => {
  const success = endpoint.successSchema as unknown as AnySchema
  const encode = Option.map(endpoint.payloadSchema as Option.Option<unknown>, (schema) =>
    Schema.encodeEither(schema as AnySchema)
  )
  const long: Pick<Codec, "encode" | "decode"> = {
    encode: Option.match(encode, {
      onNone: () => () => nothing,
      onSome: (encode) => (payload) => Either.map(encode(payload), (value) => JSON.stringify(value))
    }),
    decode: HttpApiSchema.isVoid(success.ast) ? () => nothing : Schema.decodeUnknownEither(Schema.parseJson(success))
  }
  const short = shortOf.get(endpoint)
  return {
    encode: orElse(short?.encode, long.encode),
    decode: orElse(short?.decode, long.decode),
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

/** Compiled once an endpoint. @internal */
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
 * A path with its parts in place of their `:names`. Ids stand in it as they are; what would make it another path is
 * refused.
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
        new TinkerError.InvalidInput({ method, path: name, reason: `is ${JSON.stringify(value)}, which is no id` })
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

/** Reads a user's value, fills in the defaults, and names the field at fault. @internal */
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
