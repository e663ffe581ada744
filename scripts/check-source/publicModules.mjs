/**
 * Public modules say since when they exist and in which category each export belongs, and `src/index.ts` exports every
 * one of them as a namespace, except those that need Node or an optional peer.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { needsNode } from "./platforms.mjs"
import { packages, parse, placeOf, resolveSpecifier } from "./sources.mjs"

const checkModule = (report, path) => {
  if (!/^(?:\/\/\/.*\n)*\/\*\*[\s\S]*?@since \d+\.\d+\.\d+[\s\S]*?\*\//.test(parse(path).text)) {
    report(path, 1, "the module has no docstring with @since")
  }
}

const checkExports = (report, path) => {
  const { imports, text } = parse(path)
  for (const { reexportedAs, reexportsAll, specifier } of imports) {
    if (!reexportsAll || reexportedAs !== undefined) continue
    for (const target of resolveSpecifier(path, specifier)) checkExports(report, target)
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

/** The public modules of a package by name, without the index itself. */
const modulesOf = ({ sources }) =>
  new Map(
    sources
      .map((path) => [placeOf(path).module, path])
      .filter(([module]) => module !== undefined && /^[A-Z]\w*$/.test(module))
      .sort(([a], [b]) => (a < b ? -1 : 1))
  )

/** Modules that need an optional peer of their package. */
const needsPeer = new Set(["TinkerLanguageModel", "Toolkits"])

/** Checks `src/index.ts`, or writes it. */
const checkIndex = (report, found, write) => {
  const modules = modulesOf(found)
  // one that needs Node, or a peer that users may lack, is imported by its own path, or the whole package would need it
  const portable = [...modules]
    .filter(([module, path]) => !needsNode(path) && !needsPeer.has(module))
    .map(([module]) => module)
  const index = join(found.directory, "src", "index.ts")
  const text = existsSync(index) ? readFileSync(index, "utf8") : ""
  const exported = [...text.matchAll(/^export \* as (\w+) from "\.\/\1\.ts"$/gm)].map(([, module]) => module)
  const missing = portable.filter((module) => !exported.includes(module))
  const gone = exported.filter((module) => !portable.includes(module))
  if (missing.length === 0 && gone.length === 0) return
  if (write) {
    writeFileSync(
      index,
      portable.map((module) => `export * as ${module} from "./${module}.ts"\n`).join("") || "export {}\n"
    )
  } else {
    report(index, 0, `is stale (${[...missing, ...gone].join(", ")}): run node scripts/check-source.mjs --write`)
  }
}

export const check = (report, { write }) => {
  for (const found of packages) {
    for (const path of modulesOf(found).values()) {
      checkModule(report, path)
      checkExports(report, path)
    }
    checkIndex(report, found, write)
  }
}
