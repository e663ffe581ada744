/** Effect's ParseResult: decoders that return an Either, and the first problem of a ParseError. */
import type * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

/** @internal */
export type ParseError = ParseResult.ParseError

/** @internal */
export type Decoder<A> = (input: unknown) => Either.Either<A, ParseError>

/** @internal */
export const decoderOf = <A, I>(schema: Schema.Schema<A, I>): Decoder<A> => Schema.decodeUnknownEither(schema)

/** @internal */
export interface Issue {
  readonly path: ReadonlyArray<PropertyKey>
  readonly message: string
}

/** The first problem, in the order of the fields. @internal */
export const firstIssue = (error: ParseError): Issue | undefined => {
  try {
    return ParseResult.ArrayFormatter.formatErrorSync(error)[0]
  } catch {
    // the formatter recurses into the value
    return { path: [], message: "is nested too deeply" }
  }
}
