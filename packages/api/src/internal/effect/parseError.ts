/** Schema transformations that can fail. Only this file uses `ParseResult`, which Effect 4 replaces. */
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

/** The path and the message of the first problem. @internal */
export const firstProblem = (error: ParseResult.ParseError): string => {
  try {
    const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
    const path = (issue?.path ?? []).map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("")
    return `${path}: ${issue?.message ?? "unknown"}`
  } catch {
    // the formatter recurses into the value
    return ": is nested too deeply"
  }
}

/** An array whose items are already decoded. Decoding and encoding keep the array itself. @internal */
export const arrayFromSelf = <A>(item: Schema.Schema<A>): Schema.Schema<ReadonlyArray<A>> => {
  const same = () => (value: unknown, _options: unknown, ast: Parameters<typeof ParseResult.is>[0]["ast"]) =>
    Array.isArray(value)
      ? ParseResult.succeed(value as ReadonlyArray<A>)
      : ParseResult.fail(new ParseResult.Type(ast, value, "is not a list"))
  return Schema.declare(
    [item],
    { decode: same, encode: same },
    {
      identifier: "List",
      arbitrary: (items) => (fc) => fc.array(items(fc), { maxLength: 4 })
    }
  )
}

/** Why a value cannot be decoded or encoded. @internal */
export class Invalid {
  readonly reason: string
  /** the value at fault */
  readonly actual: unknown
  constructor(reason: string, actual: unknown) {
    this.reason = reason
    this.actual = actual
  }
}

/** A transformation whose functions return the new value, or an `Invalid`. @internal */
export const transformOrInvalid = <From, FromEncoded, To, ToEncoded>(
  from: Schema.Schema<From, FromEncoded>,
  to: Schema.Schema<To, ToEncoded>,
  transformation: {
    readonly decode: (value: From) => ToEncoded | Invalid
    readonly encode: (value: ToEncoded) => From | Invalid
  }
): Schema.Schema<To, FromEncoded> =>
  Schema.transformOrFail(from, to, {
    strict: true,
    decode: (value, _options, ast) => {
      const decoded = transformation.decode(value)
      return decoded instanceof Invalid
        ? ParseResult.fail(new ParseResult.Type(ast, decoded.actual, decoded.reason))
        : ParseResult.succeed(decoded)
    },
    encode: (value, _options, ast) => {
      const encoded = transformation.encode(value)
      return encoded instanceof Invalid
        ? ParseResult.fail(new ParseResult.Type(ast, encoded.actual, encoded.reason))
        : ParseResult.succeed(encoded)
    }
  })
