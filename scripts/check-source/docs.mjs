/**
 * What the documentation names exists, and its index names all pages: relative links with their anchors, paths in code spans (from the root or from `packages/`), modules
 * such as `@effect-tinker/client/Session`, and declarations as `path.ts:name`.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { filesBelow, packages, root } from "./sources.mjs"

const pages = () => [
  join(root, "README.md"),
  join(root, "CONTRIBUTING.md"),
  join(root, "SECURITY.md"),
  ...filesBelow(join(root, "examples"), [".md"]),
  ...filesBelow(join(root, "docs"), [".md"]),
  ...packages.map(({ directory }) => join(directory, "README.md")).filter((page) => existsSync(page))
]

const isThere = (path) => existsSync(join(root, path)) || existsSync(join(root, "packages", path))

const read = (path) => {
  const found = [join(root, path), join(root, "packages", path)].find((candidate) => existsSync(candidate))
  return readFileSync(found, "utf8")
}

/** What is wrong with a code span, if it names a file, a module or a declaration. */
const problemWith = (span) => {
  const module = /^@effect-tinker\/(\w+)\/([A-Z]\w*)$/.exec(span)
  if (module !== null) return isThere(`packages/${module[1]}/src/${module[2]}.ts`) ? undefined : "no such module"
  const [, path, name] = /^((?:[\w.@-]+\/)+(?:[\w.-]+\.(?:ts|mjs|mts|md|py|json))?)(?::(\w+))?$/.exec(span) ?? []
  if (
    path === undefined ||
    !/^(?:packages|docs|scripts|bench|examples|interop|api|cli|client|cookbook|embedded|engine|server|testing|tokenizers)\//.test(
      path
    )
  ) {
    return undefined
  }
  if (!isThere(path)) return "no such file"
  if (name === undefined) return undefined
  const declaration = new RegExp(
    `\\b(?:const|function\\*?|class|interface|type) ${name}\\b|^ +(?:static |readonly |async |get )*#?${name}[(<:?]`,
    "m"
  )
  return declaration.test(read(path)) ? undefined : `${name} is not declared there`
}

/** The anchors of a page, as GitHub makes them of its headings. */
const anchorsOf = (page) => {
  const seen = new Map()
  const text = readFileSync(page, "utf8").replace(/^```[\s\S]*?^```$/gm, "")
  return new Set(
    Array.from(text.matchAll(/^#{1,6} (.*)$/gm), ([, heading]) => {
      const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase()
      const slug = plain
        .replace(/[^\p{L}\p{N}\p{M}\s_-]/gu, "")
        .trim()
        .replaceAll(" ", "-")
      const times = seen.get(slug) ?? 0
      seen.set(slug, times + 1)
      return times === 0 ? slug : `${slug}-${times}`
    })
  )
}

/** What is wrong with a relative link, if anything. */
const problemWithLink = (page, link, anchor) => {
  const target = link === "" ? page : resolve(dirname(page), link)
  if (!existsSync(target)) return "no such file"
  return anchor === undefined || !target.endsWith(".md") || anchorsOf(target).has(anchor)
    ? undefined
    : "no such heading"
}

/** Every page in `docs/` is in the index, which is the navigation of the site. */
const checkIndex = (report) => {
  const index = join(root, "docs", "README.md")
  const text = readFileSync(index, "utf8")
  for (const name of readdirSync(join(root, "docs"))) {
    if (name.endsWith(".md") && name !== "README.md" && !text.includes(`](${name})`)) report(index, 0, `lacks ${name}`)
  }
}

export const check = (report) => {
  checkIndex(report)
  for (const page of pages()) {
    let inCode = false
    for (const [i, line] of readFileSync(page, "utf8").split("\n").entries()) {
      if (/^\s*```/.test(line)) inCode = !inCode
      if (inCode) continue
      for (const [, span] of line.matchAll(/`([^`]+)`/g)) {
        const problem = problemWith(span)
        if (problem !== undefined) report(page, i + 1, `${span}: ${problem}`)
      }
      for (const [, link, anchor] of line.matchAll(/\]\(([^)#\s]*)(?:#([^)]*))?\)/g)) {
        if (/^[a-z]+:/.test(link)) continue
        const problem = problemWithLink(page, link, anchor)
        if (problem !== undefined) report(page, i + 1, `${link}${anchor === undefined ? "" : `#${anchor}`}: ${problem}`)
      }
    }
  }
}
