/** Names of repositories and branches on the Hugging Face hub. */
import * as Either from "effect/Either"
import { UsageError } from "../errors/cliError.ts"

/** Turns a text into a valid name of a repository or a branch. @internal */
export const nameOf = (text: string): string =>
  text
    .replace(/[^\p{L}\p{N}_.-]/gu, "-")
    .replace(/-{2,}/g, "-")
    .replace(/\.{2,}/g, ".")
    .slice(0, 96)
    .replace(/^[-_.]+|[-_.]+$/g, "")

/** The rules of the hub for each part of `owner/name`. */
const isPart = (part: string): boolean =>
  /^[\p{L}\p{N}_](?:[\p{L}\p{N}_.-]{0,94}[\p{L}\p{N}_])?$/u.test(part) && !/--|\.\.|\.git$/.test(part)

/** Checks `name` or `owner/name`. @internal */
export const parseRepo = (repo: string): Either.Either<string, UsageError> => {
  const parts = repo.split("/")
  return parts.length <= 2 && parts.every(isPart)
    ? Either.right(repo)
    : Either.left(
        new UsageError({
          reason: `Invalid value for --repo: '${repo}': give a name such as you/my-adapter, of letters, digits and -_.`
        })
      )
}

/** Checks a name by the rules of git. @internal */
export const parseBranch = (branch: string): Either.Either<string, UsageError> =>
  branch !== "" &&
  branch.length <= 255 &&
  !/[\p{Cc} ~^:?*[\\]|\.\.|@\{|\/\/|\/\.|\.lock(?:\/|$)|^[-/.]|[/.]$|^@$/u.test(branch)
    ? Either.right(branch)
    : Either.left(new UsageError({ reason: `Invalid value for --revision: '${branch}' is no name of a branch` }))
