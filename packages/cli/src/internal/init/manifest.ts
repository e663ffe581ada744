/** The manifest of a new project: its name, and the versions of what it needs. */

interface Versions {
  readonly dependencies: { readonly [name: string]: string }
  readonly devDependencies: { readonly [name: string]: string }
}

/** The packages of this library that the program of the template imports, and those that only its test does. */
const imported = ["api", "client", "cookbook"]
const importedByTest = ["testing"]

/** What the template needs besides; this package depends on the same. */
const libraries = ["effect", "@effect/platform", "@effect/platform-node", "undici"]

const scope = "@effect-tinker/"

/** The lowest version of a range such as ^3.22.4, which is the one that this library was tested with. */
const exact = (range: string): string => range.replace(/^[\^~]/, "")

/** A name that npm allows, made from the name of a directory. @internal */
export const projectName = (directory: string): string => {
  const name = directory
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 100)
  return name === "" ? "my-model" : name
}

/** The tarballs of this library among files, by the names of their packages. @internal */
export const tarballsOf = (files: ReadonlyArray<string>): ReadonlyMap<string, string> =>
  new Map(
    files.flatMap((file) => {
      const match = /^effect-tinker-([a-z]+)-\d.*\.tgz$/.exec(file)
      return match === null ? [] : [[`${scope}${match[1]}`, file] as const]
    })
  )

/**
 * The versions that a project takes. With tarballs, all of them: what one of them needs of this library is in no registry
 * then.
 *
 * @internal
 */
export const pinned = (
  manifest: { readonly version: string; readonly dependencies: { readonly [name: string]: string } },
  tarballs: ReadonlyMap<string, string>
): Versions => {
  const own = (names: ReadonlyArray<string>) =>
    names.map((name) => {
      const tarball = tarballs.get(`${scope}${name}`)
      return [`${scope}${name}`, tarball === undefined ? manifest.version : `file:${tarball}`] as const
    })
  const rest = [...tarballs].flatMap(([name, file]) =>
    importedByTest.includes(name.slice(scope.length)) ? [] : [[name, `file:${file}`] as const]
  )
  const others = libraries.map((name) => [name, exact(manifest.dependencies[name]!)] as const)
  const sorted = [...new Map([...own(imported), ...rest, ...others])].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return { dependencies: Object.fromEntries(sorted), devDependencies: Object.fromEntries(own(importedByTest)) }
}
