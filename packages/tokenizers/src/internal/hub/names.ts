/** Which names of repositories and revisions are valid: they become parts of URLs, and of paths on any file system. */

const repoSegment = /^[A-Za-z0-9_](?:[\w.-]*[A-Za-z0-9_])?$/

/** Devices that Windows takes for a file of that name, whatever its extension. */
const reservedOnWindows = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])(?:\..*)?$/i

/** What neither Git nor Windows permits in the name of a branch. */
// oxlint-disable-next-line no-control-regex
const forbidden = /[\u0000-\u0020\u007f~^:?*[\]\\<>"|]|\.\.|@\{|\/\//

const longestSegment = 255

/** Why a name is not the one of a repository; undefined if it is. @internal */
export const repoProblem = (repo: string): string | undefined => {
  const segments = repo.split("/")
  const isName =
    segments.length <= 2 &&
    repo.length <= 200 &&
    segments.every((segment) => repoSegment.test(segment)) &&
    !/--|\.\.|\.git$/.test(repo)
  return isName ? undefined : "this is not the name of a repository, which reads organisation/model"
}

const isSegment = (segment: string): boolean =>
  segment !== "" && segment.length <= longestSegment && !/^\.|\.$|\.lock$/.test(segment)

/** Why a name is not the one of a branch, tag or commit; undefined if it is. @internal */
export const revisionProblem = (revision: string): string | undefined => {
  const segments = revision.split("/")
  if (
    revision.startsWith("-") ||
    forbidden.test(revision) ||
    /\p{Surrogate}/u.test(revision) ||
    !segments.every(isSegment)
  ) {
    return "this is not the name of a branch, tag or commit"
  }
  const reserved = segments.find((segment) => reservedOnWindows.test(segment))
  return reserved === undefined
    ? undefined
    : `${reserved} is a reserved name of Windows, so the cache cannot contain this revision: give the commit instead`
}
