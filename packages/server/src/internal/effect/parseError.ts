/** Formats schema errors: the one place of this package that depends on `ParseResult`. */
import * as ParseResult from "effect/ParseResult"

/** The first issue, as `path: to: field: message`. @internal */
export const formatFirstIssue = (error: ParseResult.ParseError): string => {
  const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
  return [...(issue?.path ?? []), issue?.message].join(": ")
}

/** The first issue, and the path to it as `messages[0].role`. @internal */
export const firstIssue = (
  error: ParseResult.ParseError
): { readonly path: string; readonly message: string; readonly isUnknownField: boolean } => {
  const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
  const path = (issue?.path ?? []).reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`),
    ""
  )
  return { path, message: issue?.message ?? "is invalid", isUnknownField: issue?._tag === "Unexpected" }
}
