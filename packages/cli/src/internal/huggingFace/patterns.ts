/** The shell patterns that select the files to upload. */
import * as Either from "effect/Either"
import { UsageError } from "../errors/cliError.ts"

/** Whether a name matches. @internal */
export type Matcher = (name: string) => boolean

/** One element of a pattern: `*`, or what matches exactly one character. */
type Token = "star" | ((character: string) => boolean)

const maxLength = 256

const isAny = (): boolean => true

/** Parses `abc`, `a-z` or `!abc`, what stands between brackets. Fails with what is wrong. */
const parseSet = (set: string): Either.Either<Token, string> => {
  const isNegated = set.startsWith("!")
  const characters = Array.from(isNegated ? set.slice(1) : set)
  const ranges: Array<readonly [string, string]> = []
  for (let i = 0; i < characters.length; i++) {
    const first = characters[i]!
    const isRange = characters[i + 1] === "-" && i + 2 < characters.length
    const last = isRange ? characters[i + 2]! : first
    if (first > last) return Either.left(`the range ${first}-${last} is reversed`)
    ranges.push([first, last])
    if (isRange) i += 2
  }
  return Either.right((one) => ranges.some(([first, last]) => first <= one && one <= last) !== isNegated)
}

const parse = (pattern: string): Either.Either<ReadonlyArray<Token>, string> =>
  Either.gen(function* () {
    const tokens: Array<Token> = []
    const characters = Array.from(pattern)
    for (let i = 0; i < characters.length; i++) {
      const character = characters[i]!
      if (character === "*") {
        if (tokens.at(-1) !== "star") tokens.push("star")
      } else if (character === "?") tokens.push(isAny)
      else if (character === "[") {
        // a bracket that stands first in a set is one of its characters
        const start = characters[i + 1] === "!" ? i + 2 : i + 1
        const end = characters.indexOf("]", start + 1)
        if (end < 0) return yield* Either.left("the bracket [ is not closed")
        tokens.push(yield* parseSet(characters.slice(i + 1, end).join("")))
        i = end
      } else tokens.push((one) => one === character)
    }
    return tokens
  })

/** Matches without recursion: after a mismatch, the last star takes one more character. */
const matches = (tokens: ReadonlyArray<Token>, name: string): boolean => {
  const characters = Array.from(name)
  let [token, at, star, starAt] = [0, 0, -1, 0]
  while (at < characters.length) {
    const current = tokens[token]
    if (current === "star") {
      star = token++
      starAt = at
    } else if (current?.(characters[at]!) === true) {
      token++
      at++
    } else if (star >= 0) {
      token = star + 1
      at = ++starAt
    } else return false
  }
  return tokens.slice(token).every((rest) => rest === "star")
}

/**
 * A shell pattern with `*`, `?`, `[abc]` and `[!abc]`. `*` also matches `/`; a pattern that ends in `/` matches all files
 * of a directory. A malformed pattern is a wrong command line.
 * @internal
 */
export const compile = (option: string, pattern: string): Either.Either<Matcher, UsageError> => {
  const tokens =
    pattern === ""
      ? Either.left("it is empty")
      : pattern.length > maxLength
        ? Either.left(`it has more than ${maxLength} characters`)
        : parse(pattern.endsWith("/") ? `${pattern}*` : pattern)
  return Either.mapBoth(tokens, {
    onLeft: (why) => new UsageError({ reason: `Invalid pattern for --${option}: '${pattern}': ${why}` }),
    onRight: (tokens) => (name: string) => matches(tokens, name)
  })
}

/** The names that match an allowed pattern, if there are any, and no ignored one; sorted. @internal */
export const select = (
  names: ReadonlyArray<string>,
  allowed: ReadonlyArray<Matcher>,
  ignored: ReadonlyArray<Matcher>
): ReadonlyArray<string> =>
  names
    .filter((name) => allowed.length === 0 || allowed.some((matches) => matches(name)))
    .filter((name) => !ignored.some((matches) => matches(name)))
    .sort()
