/**
 * Which packages may import which. A package also declares in its package.json what it imports, and no import hides what
 * it imports from bundlers.
 */
import { packages, parse } from "./sources.mjs"

/** What the sources of each package may import from the others. Tests may import any. */
export const allowedPackages = {
  api: [],
  tokenizers: [],
  client: ["api", "tokenizers"],
  server: ["api"],
  engine: ["api", "server", "tokenizers"],
  testing: ["api", "server"],
  embedded: ["api", "client", "engine", "server", "tokenizers"],
  cookbook: ["api", "client", "embedded", "engine", "server", "tokenizers"],
  cli: ["api", "client", "cookbook", "embedded", "engine", "server", "tokenizers"]
}

const table = "scripts/check-source/packages.mjs"
const scope = "@effect-tinker/"

const packageName = (specifier) =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")

const declared = ({ dependencies, optionalDependencies, peerDependencies }) =>
  new Set(Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }))

export const check = (report) => {
  for (const { directory, manifest, name, sources } of packages) {
    const allowed = allowedPackages[name]
    if (allowed === undefined) {
      report(directory, 0, `has no entry in ${table}`)
      continue
    }
    const dependencies = declared(manifest)
    const dependsOn = [...dependencies]
      .filter((other) => other.startsWith(scope))
      .map((other) => other.slice(scope.length))
    if (dependsOn.sort().join() !== allowed.join()) {
      report(
        directory,
        0,
        `depends on ${dependsOn.join(", ")} in package.json, but on ${allowed.join(", ")} in ${table}`
      )
    }
    for (const path of sources) {
      for (const { line, specifier } of parse(path).imports) {
        if (specifier === undefined) {
          report(path, line, "imports what bundlers cannot see: name the module in the import itself")
          continue
        }
        if (/^[.#]/.test(specifier) || specifier.startsWith("node:")) continue
        const imported = packageName(specifier)
        // the only file that runs just in this repository
        if (imported === "tsx" && path.endsWith("FromSources.mjs")) continue
        // the published module contains it
        if (imported === "@effect/opentelemetry" && path.endsWith("packages/cli/src/internal/service/otlp.ts")) continue
        if (!dependencies.has(imported)) report(path, line, `imports ${imported}, which package.json does not name`)
        if (imported.startsWith(scope) && !allowed.includes(imported.slice(scope.length))) {
          report(path, line, `may not import ${imported}: see ${table}`)
        }
      }
    }
  }
}
