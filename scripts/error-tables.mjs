/**
 * What the documentation says of errors: all members of the union `TinkerError`, with the first sentences of their
 * documentation. `npm run errors` writes it; `npm run types` fails where it differs, and where `docs/troubleshooting.md`
 * has no section for a member, or one for another tag.
 *
 *     <!-- errors -->                    in READMEs
 *     | tag | … |
 *     <!-- end of errors -->
 *
 *     ### `InvalidInput`                 in docs/troubleshooting.md
 *
 *     <!-- meaning -->
 *     …
 *     <!-- end of meaning -->
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { filesBelow, root, shortPath } from "./check-source/sources.mjs"

const errors = join(root, "packages", "api", "src")

/** The names in the union, in its order. */
const members = () => {
  const text = readFileSync(join(errors, "TinkerError.ts"), "utf8")
  const union = /export type TinkerError =\n((?: {2}\| \w+\.\w+\n)+)/.exec(text)
  if (union === null) throw new Error("TinkerError.ts has no union TinkerError")
  return Array.from(union[1].matchAll(/\.(\w+)/g), ([, name]) => name)
}

/** The first paragraph of the documentation of each class, and its status in an HttpApi. */
const documented = () =>
  new Map(
    filesBelow(join(errors, "internal", "errors")).flatMap((file) =>
      Array.from(
        readFileSync(file, "utf8").matchAll(
          /\/\*\*\n((?: \*.*\n)+?) \*\/\nexport class (\w+) extends[\s\S]*?httpStatus\((\d+)\)/g
        ),
        ([, comment, name, status]) => {
          const lines = comment.split("\n").map((line) => line.replace(/^ \* ?/, ""))
          const end = lines.findIndex((line) => line === "" || line.startsWith("@"))
          return [name, { status, text: lines.slice(0, end).join(" ") }]
        }
      )
    )
  )

const table = () => {
  const known = documented()
  const rows = members().map((name) => {
    const found = known.get(name)
    if (found === undefined) throw new Error(`${name} has no documentation, or no httpStatus`)
    return `| \`${name}\` | ${found.status} | ${found.text.replaceAll("|", "\\|")} |`
  })
  return ["| tag | status | when |", "|---|---|---|", ...rows].join("\n")
}

const marked = /(<!-- errors -->\n\n?)[\s\S]*?(\n\n?<!-- end of errors -->)/

/** The READMEs with a table, each with its text and the text that it should have. */
const pages = () => {
  const wanted = table()
  return [join(root, "README.md"), ...filesBelow(join(root, "packages"), ["README.md"])]
    .map((page) => ({ page, text: readFileSync(page, "utf8") }))
    .filter(({ text }) => marked.test(text))
    .map(({ page, text }) => ({
      page,
      text,
      wanted: text.replace(marked, (_, before, after) => `${before}${wanted}${after}`)
    }))
}

const guide = join(root, "docs", "troubleshooting.md")
const section = /(^### `(\w+)`\n\n<!-- meaning -->\n\n?)[\s\S]*?(\n\n?<!-- end of meaning -->)/gm

/** The page with a section for each error, its text, and the text that it should have. */
const guidePage = () => {
  const known = documented()
  const text = readFileSync(guide, "utf8")
  const wanted = text.replace(section, (all, before, name, after) =>
    known.has(name) ? `${before}${known.get(name).text}${after}` : all
  )
  return { page: guide, text, wanted }
}

/** Members of the union without a section, and sections of other tags. */
const wrongSections = () => {
  const all = members()
  const found = Array.from(readFileSync(guide, "utf8").matchAll(section), ([, , name]) => name)
  return [
    ...all.filter((name) => !found.includes(name)).map((name) => `has no section for ${name}`),
    ...found
      .filter((name) => !all.includes(name))
      .map((name) => `has a section for ${name}, which is not in TinkerError`)
  ].map((text) => `${shortPath(guide)} ${text}`)
}

/** What is wrong with the tables and the sections. */
export const problems = () => {
  const found = pages()
  if (found.length === 0) return ["no README has a table of errors"]
  return [...wrongSections(), ...differing([...found, guidePage()])]
}

const differing = (found) =>
  found
    .filter(({ text, wanted }) => text !== wanted)
    .map(({ page }) => `${shortPath(page)}: it is not what TinkerError says of errors: npm run errors writes it`)

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for (const { page, wanted } of [...pages(), guidePage()]) writeFileSync(page, wanted)
}
