/**
 * What linters do not know of this project:
 *
 * - `packages/<name>/src` takes time, chance, output and settings from Effect's services, never from globals, so that
 *   tests decide over all of them; and tensors are never decoded number by number.
 * - `src/index.ts` exports every public module as a namespace, but for those that need Node.
 * - every public module and every export says since when it is there and in which category it belongs.
 *
 * Run with --write to bring index.ts up to date.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const write = process.argv.includes("--write")
const problems = []

const forbidden = [
  [/\bDate\.now\b/, "take the time from effect/Clock"],
  [/\bnew Date\(\)/, "take the time from effect/Clock"],
  [/\bMath\.random\b/, "take chance from effect/Random"],
  [/\bcrypto\.(randomUUID|getRandomValues)\b/, "take chance from effect/Random"],
  [/\bset(Timeout|Interval)\s*\(/, "wait with effect/Effect"],
  [/\bperformance\.now\b/, "take the time from effect/Clock"],
  [/\bconsole\s*\./, "log with effect/Effect"],
  [/\bprocess\.env\b/, "read settings with effect/Config"],
  [/\bSchema\.Array\(\s*Schema\.Number\s*\)/, "decode tensors to typed arrays"],
  [/from "(effect|@effect\/platform|@effect\/platform-node)"/, "import the module, not the barrel"],
  [/from "@effect-tinker\/[a-z]+"/, "import the module, not the barrel"]
]

/** Comments may say what code may not do; line numbers stay. */
const withoutComments = (text) =>
  text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " ")).replace(/(^|\s)\/\/.*$/gm, "$1")

const filesBelow = (directory) =>
  readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return entry.name === "gen" ? [] : filesBelow(path)
    return entry.name.endsWith(".ts") ? [path] : []
  })

const report = (path, line, text) => problems.push(`${relative(root, path)}${line ? `:${line}` : ""} ${text}`)

const checkDocumented = (path, text) => {
  if (!/^(?:\/\/\/.*\n)*\/\*\*[\s\S]*?@since \d+\.\d+\.\d+[\s\S]*?\*\//.test(text)) {
    report(path, 1, "the module has no docstring with @since")
  }
  const lines = text.split("\n")
  for (const [i, line] of lines.entries()) {
    const found = /^export (?:declare )?(?:abstract )?(?:const|function\*?|class|interface|type|namespace) (\w+)/.exec(
      line
    )
    if (found === null) continue
    // overloads share the docstring of the first
    if (
      line.startsWith("export function") &&
      lines.slice(0, i).some((other) => other.startsWith(`export function ${found[1]}`))
    ) {
      continue
    }
    const end = i - 1
    const start =
      lines[end] !== undefined && lines[end].trim().endsWith("*/")
        ? lines.slice(0, i).findLastIndex((other) => other.startsWith("/**"))
        : -1
    const comment = start < 0 ? "" : lines.slice(start, i).join("\n")
    if (comment.includes("@internal")) continue
    for (const tag of ["@since", "@category"]) {
      if (!comment.includes(tag)) report(path, i + 1, `${found[1]} has no ${tag}`)
    }
  }
}

for (const name of readdirSync(join(root, "packages")).sort()) {
  const source = join(root, "packages", name, "src")
  if (!existsSync(source)) continue
  for (const path of filesBelow(source)) {
    const code = withoutComments(readFileSync(path, "utf8")).split("\n")
    for (const [i, line] of code.entries()) {
      for (const [pattern, advice] of forbidden) if (pattern.test(line)) report(path, i + 1, advice)
    }
  }
  const modules = readdirSync(source)
    .filter((file) => /^[A-Z]\w*\.ts$/.test(file))
    .map((file) => file.slice(0, -".ts".length))
    .sort()
  // what needs a platform is imported by its own path, or everyone would need that platform
  const portable = modules.filter(
    (module) =>
      !/^import .* from "(?:@effect\/platform-node|node:|undici")/m.test(
        readFileSync(join(source, `${module}.ts`), "utf8")
      )
  )
  for (const module of modules) {
    const path = join(source, `${module}.ts`)
    checkDocumented(path, readFileSync(path, "utf8"))
  }
  const index = join(source, "index.ts")
  const held = existsSync(index) ? readFileSync(index, "utf8") : ""
  const exported = [...held.matchAll(/^export \* as (\w+) from "\.\/\1\.ts"$/gm)].map(([, module]) => module)
  const missing = portable.filter((module) => !exported.includes(module))
  const gone = exported.filter((module) => !portable.includes(module))
  if (missing.length === 0 && gone.length === 0) continue
  if (write) {
    writeFileSync(
      index,
      portable.map((module) => `export * as ${module} from "./${module}.ts"\n`).join("") || "export {}\n"
    )
  } else {
    report(index, 0, `is stale (${[...missing, ...gone].join(", ")}): run node scripts/check-source.mjs --write`)
  }
}

for (const problem of problems) console.error(problem)
if (problems.length > 0) {
  console.error(`${problems.length} problems in the sources`)
  process.exitCode = 1
}
