/**
 * The tables of errors in READMEs: all members of the union `TinkerError`, with the first sentences of their
 * documentation. `npm run errors` writes them; `npm run types` fails where one differs.
 *
 *     <!-- errors -->
 *     | tag | … |
 *     <!-- end of errors -->
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
          return [name, { status, text: lines.slice(0, end).join(" ").replaceAll("|", "\\|") }]
        }
      )
    )
  )

const table = () => {
  const known = documented()
  const rows = members().map((name) => {
    const found = known.get(name)
    if (found === undefined) throw new Error(`${name} has no documentation, or no httpStatus`)
    return `| \`${name}\` | ${found.status} | ${found.text} |`
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

/** What is wrong with the tables. */
export const problems = () => {
  const found = pages()
  if (found.length === 0) return ["no README has a table of errors"]
  return found
    .filter(({ text, wanted }) => text !== wanted)
    .map(({ page }) => `${shortPath(page)}: the table of errors is not what TinkerError says: npm run errors writes it`)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for (const { page, wanted } of pages()) writeFileSync(page, wanted)
}
