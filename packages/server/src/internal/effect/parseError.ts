/** Formats schema errors: the one place of this package that depends on `ParseResult`. */
import * as ParseResult from "effect/ParseResult"

/** The first issue, as `path: to: field: message`. @internal */
export const formatFirstIssue = (error: ParseResult.ParseError): string => {
  const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
  return [...(issue?.path ?? []), issue?.message].join(": ")
}
