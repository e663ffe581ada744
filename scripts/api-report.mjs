/**
 * The public interface of each package, as `etc/api/NAME.api.md`: the declarations of its modules without comments, and of
 * what they take from internal files. A change of it shows in a review.
 *
 * `node scripts/api-report.mjs` fails if the reports are not up to date; `--write` brings them up to date. Both read what
 * `npm run types` or `npm run build` has compiled.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import ts from "typescript"
import { packages, root } from "./check-source/sources.mjs"

const directory = join(root, "etc", "api")
const printer = ts.createPrinter({ removeComments: true })

/** The files of the same package that a declaration file imports or names. */
const importsOf = (path, source) =>
  ts
    .preProcessFile(source.text, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((name) => name.startsWith("."))
    .map((name) => join(dirname(path), name.replace(/\.[jt]s$/, ".d.ts")))

const isModule = (file) => /^[A-Z]\w*\.d\.ts$/.test(file)

const reportOf = (dist) => {
  const seen = new Set()
  const sections = []
  const visit = (path) => {
    if (seen.has(path) || !existsSync(path)) return
    seen.add(path)
    const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true)
    const text = printer
      .printFile(source)
      .replace(/^\/\/# sourceMappingURL.*\n?/gm, "")
      .trim()
    const name = relative(dist, path).replaceAll("\\", "/")
    // the modules that are re-exported are sections of their own
    if (name !== "index.d.ts") sections.push([name, text])
    for (const imported of importsOf(path, source)) visit(imported)
  }
  for (const file of readdirSync(dist).filter(isModule).sort()) visit(join(dist, file))
  const rank = ([name]) => `${name.startsWith("internal/") ? 1 : 0}${name}`
  return sections
    .sort((a, b) => (rank(a) < rank(b) ? -1 : 1))
    .map(([name, text]) => `## ${name}\n\n\`\`\`ts\n${text}\n\`\`\`\n`)
    .join("\n")
}

const write = process.argv.includes("--write")
mkdirSync(directory, { recursive: true })
let stale = 0
for (const { directory: home, name } of packages) {
  const dist = join(home, "dist")
  if (!existsSync(join(dist, "index.d.ts"))) throw new Error(`packages/${name} is not compiled: run npm run types`)
  const report = `# @effect-tinker/${name}\n\nWritten by \`npm run api-report -- --write\`.\n\n${reportOf(dist)}`
  const file = join(directory, `${name}.api.md`)
  if (existsSync(file) && readFileSync(file, "utf8") === report) continue
  if (write) writeFileSync(file, report)
  else {
    stale++
    console.error(`${relative(root, file)} is not up to date: npm run api-report -- --write, and read the difference`)
  }
}
console.log(`${packages.length} reports of public interfaces, ${stale} not up to date`)
if (stale > 0) process.exitCode = 1
