/** Error messages of schemas. */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

/** A record may be quoted in its own error. */
const longestMessage = 300

const cut = (text: string): string => (text.length > longestMessage ? `${text.slice(0, longestMessage)}…` : text)

/** The path to a field, such as `messages.2.content`, and what is wrong there. @internal */
export interface Issue {
  readonly field?: string | undefined
  readonly reason: string
}

/**
 * The path and the message of an issue. It is the first one of those that lie deepest: of the members of a union, the one
 * that fits best goes deepest.
 */
const issueOf = (error: ParseResult.ParseError): Issue => {
  const issues = ParseResult.ArrayFormatter.formatErrorSync(error)
  const depth = Math.max(...issues.map(({ path }) => path.length))
  const issue = issues.find(({ path }) => path.length === depth)
  if (issue === undefined) return { reason: cut(error.message) }
  return depth === 0
    ? { reason: cut(issue.message) }
    : { field: issue.path.map(String).join("."), reason: cut(issue.message) }
}

/** The path and the message of an issue, in one line. @internal */
export const firstIssue = (error: ParseResult.ParseError): string => {
  const { field, reason } = issueOf(error)
  return field === undefined ? reason : `${field}: ${reason}`
}

/** Decodes with a schema, or says what is wrong. @internal */
export const decodeWith = <A, I>(schema: Schema.Schema<A, I>): ((value: unknown) => Either.Either<A, Issue>) => {
  const decode = Schema.decodeUnknownEither(schema)
  return (value) => Either.mapLeft(decode(value), issueOf)
}
