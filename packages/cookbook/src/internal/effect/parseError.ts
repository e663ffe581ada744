/** Error messages of schemas. */
import * as ParseResult from "effect/ParseResult"

/** The path and the message of the first issue, in one line. @internal */
export const firstIssue = (error: ParseResult.ParseError): string => {
  const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
  return issue === undefined ? error.message : [issue.path.join("."), issue.message].filter(Boolean).join(": ")
}
