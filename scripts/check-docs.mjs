/**
 * Compiles the TypeScript of the documentation, against the types that `tsc -b` has built: `npm run types` runs both.
 *
 * A block may leave out the imports of modules (`Effect`, `Datum`, …), and be the body of a generator. A comment above it
 * may declare what it takes from elsewhere:
 *
 *     <!-- declare const batch: ReadonlyArray<Datum.Supervised> -->
 *
 * `<!-- not compiled: REASON -->` leaves a block out.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import ts from "typescript"
import * as errorTables from "./error-tables.mjs"
import { filesBelow, packages, root, shortPath } from "./check-source/sources.mjs"

const directory = join(root, "build", "docs")

const pages = [
  join(root, "README.md"),
  join(root, "CONTRIBUTING.md"),
  ...filesBelow(join(root, "docs"), [".md"]),
  ...filesBelow(join(root, "packages"), [".md"]).filter((page) => page.endsWith("README.md"))
]

/** The names of modules that a block may use without an import. */
const modules = new Map([
  ...readdirSync(join(root, "node_modules", "effect", "src"))
    .filter((file) => /^[A-Z]\w*\.ts$/.test(file))
    .map((file) => [file.slice(0, -3), `effect/${file.slice(0, -3)}`]),
  ...["FetchHttpClient", "FileSystem", "HttpClient"].map((name) => [name, `@effect/platform/${name}`]),
  ["undici", "undici"],
  ["NodeContext", "@effect/platform-node/NodeContext"],
  ...packages.flatMap(({ directory, name }) =>
    readdirSync(join(directory, "src"))
      .filter((file) => /^[A-Z]\w*\.ts$/.test(file))
      .map((file) => [file.slice(0, -3), `@effect-tinker/${name}/${file.slice(0, -3)}`])
  )
])

/** The blocks of a page: their code, the line at which it begins, and the comment above. */
const blocksOf = (page) => {
  const text = readFileSync(page, "utf8")
  return Array.from(text.matchAll(/(?:<!--([^>]*(?:>(?<!-->)[^>]*)*)-->\n+)?^```ts\n([\s\S]*?)^```$/gm), (match) => ({
    page,
    comment: match[1]?.trim() ?? "",
    code: match[2],
    line: text.slice(0, match.index + match[0].indexOf("```ts\n")).split("\n").length + 1
  }))
}

/** Whether a block yields outside of any function, as the body of a generator. */
const yields = (code) => /^(?:const .* = )?yield\*/m.test(code)

/** The imports that a block leaves out, on one line. */
const importsOf = (code) => {
  const imported = new Set(
    Array.from(code.matchAll(/^import\s+([\s\S]*?)\s+from\s/gm), ([, clause]) => clause.match(/\w+/g) ?? []).flat()
  )
  const used = new Set(
    Array.from(code.matchAll(/(?<![\w."'/`])([A-Z]\w*|undici)(?=\.(?!fromCharCode)[A-Za-z])/g), ([, name]) => name)
  )
  return [...used]
    .filter((name) => !imported.has(name) && modules.has(name))
    .map((name) => `import * as ${name} from "${modules.get(name)}"`)
    .join("; ")
}

const fileOf = ({ code, comment, line, page }, i) => {
  const declared = comment.startsWith("declare") ? comment.replaceAll("\n", " ") : ""
  const [open, close] = yields(code) ? ["function* body() {", "}"] : ["", ""]
  const before = [importsOf(`${code}\n${declared}`), declared, "export {}", open]
  const path = join(directory, `block-${i}.ts`)
  writeFileSync(path, `${before.filter((part) => part !== "").join("; ")}\n${code}${close}`)
  return { path, page, line }
}

const configuration = () => {
  const path = join(directory, "tsconfig.json")
  const references = packages.map(({ name }) => ({ path: `../../packages/${name}/tsconfig.src.json` }))
  const compilerOptions = {
    noEmit: true,
    composite: false,
    incremental: false,
    declaration: false,
    declarationMap: false,
    isolatedModules: false,
    noUnusedLocals: false,
    types: ["node"]
  }
  writeFileSync(
    path,
    JSON.stringify({ extends: "../../tsconfig.base.json", compilerOptions, include: ["*.ts"], references })
  )
  const parsed = ts.getParsedCommandLineOfConfigFile(path, {}, { ...ts.sys, onUnRecoverableConfigFileDiagnostic() {} })
  return {
    rootNames: parsed.fileNames,
    options: parsed.options,
    projectReferences: parsed.projectReferences,
    configFileParsingDiagnostics: parsed.errors
  }
}

rmSync(directory, { recursive: true, force: true })
mkdirSync(directory, { recursive: true })
// NodeNext takes the kind of a module from the nearest manifest
writeFileSync(join(directory, "package.json"), '{ "type": "module" }\n')
const blocks = pages.flatMap(blocksOf).filter(({ comment }) => !comment.startsWith("not compiled:"))
const places = new Map(blocks.map(fileOf).map((place) => [place.path, place]))
const problems = ts.getPreEmitDiagnostics(ts.createProgram(configuration()))

for (const { file, messageText, start } of problems) {
  const text = ts.flattenDiagnosticMessageText(messageText, "\n")
  const place = places.get(file?.fileName)
  const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start).line
  console.error(
    place === undefined
      ? `${file?.fileName ?? ""} ${text}`
      : `${shortPath(place.page)}:${place.line + Math.max(0, line - 1)} ${text}`
  )
}
console.log(`${blocks.length} blocks of code in the documentation, ${problems.length} problems`)
const tables = errorTables.problems()
for (const problem of tables) console.error(problem)
if (problems.length + tables.length > 0) process.exitCode = 1
