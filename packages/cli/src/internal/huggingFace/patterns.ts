/** Names on the Hugging Face hub, and the shell patterns that select files. */

/** Turns a text into a valid name of a repository or a branch. @internal */
export const nameOf = (text: string): string =>
  text
    .replace(/[^\p{L}\p{N}_.-]/gu, "-")
    .replace(/-{2,}/g, "-")
    .replace(/^[-_.]+|[-_.]+$/g, "")

/**
 * Whether names match a shell pattern, with `*`, `?`, `[abc]` and `[!abc]`. `*` also matches `/`; a pattern that ends in
 * `/` matches all files of a directory.
 */
const matcher = (pattern: string): ((name: string) => boolean) => {
  const source = (pattern.endsWith("/") ? `${pattern}*` : pattern).replace(
    /\[(!?)([^\]]+)\]|[\s\S]/g,
    (part, not: string | undefined, set: string | undefined) => {
      if (set !== undefined) return `[${not === "!" ? "^" : ""}${set.replace(/[\\^]/g, "\\$&")}]`
      if (part === "*") return "[\\s\\S]*"
      if (part === "?") return "[\\s\\S]"
      return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
    }
  )
  const expression = new RegExp(`^${source}$`)
  return (name) => expression.test(name)
}

/** The names that match an allowed pattern, if there are any, and no ignored one; sorted. @internal */
export const select = (
  names: ReadonlyArray<string>,
  allowPatterns: ReadonlyArray<string>,
  ignorePatterns: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const allowed = allowPatterns.map(matcher)
  const ignored = ignorePatterns.map(matcher)
  return names
    .filter((name) => allowed.length === 0 || allowed.some((matches) => matches(name)))
    .filter((name) => !ignored.some((matches) => matches(name)))
    .sort()
}
