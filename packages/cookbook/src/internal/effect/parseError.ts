/** Error messages of schemas. */
import * as ParseResult from "effect/ParseResult"

/** A record may be quoted in its own error. */
const longestMessage = 300

const cut = (text: string): string => (text.length > longestMessage ? `${text.slice(0, longestMessage)}…` : text)

/**
 * The path and the message of an issue, in one line. It is the first one of those that lie deepest: of the members of a
 * union, the one that fits best goes deepest.
 *
 * @internal
 */
export const firstIssue = (error: ParseResult.ParseError): string => {
  const issues = ParseResult.ArrayFormatter.formatErrorSync(error)
  const depth = Math.max(...issues.map(({ path }) => path.length))
  const issue = issues.find(({ path }) => path.length === depth)
  return issue === undefined
    ? cut(error.message)
    : [issue.path.join("."), cut(issue.message)].filter(Boolean).join(": ")
}
