/** The files of this repository, parsed, and the graph of what imports what. The other checks build on it. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve, sep } from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

export const root = fileURLToPath(new URL("../..", import.meta.url))

/** A path as the reports name it. */
export const shortPath = (path) => relative(root, path).split(sep).join("/")

const skipped = new Set(["node_modules", "dist", "build", "gen", "fixtures", ".venv", ".git"])

/** All files below a directory whose names end in one of `endings`; generated and built ones are left out. */
export const filesBelow = (directory, endings = [".ts"]) =>
  !existsSync(directory)
    ? []
    : readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
        const path = join(directory, entry.name)
        if (entry.isDirectory()) return skipped.has(entry.name) ? [] : filesBelow(path, endings)
        return endings.some((ending) => entry.name.endsWith(ending)) ? [path] : []
      })

/** Every workspace below packages/, with its manifest. */
export const packages = readdirSync(join(root, "packages"))
  .filter((name) => existsSync(join(root, "packages", name, "src")))
  .sort()
  .map((name) => {
    const directory = join(root, "packages", name)
    const manifest = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"))
    return { name, directory, manifest, sources: filesBelow(join(directory, "src"), [".ts", ".mts", ".mjs"]) }
  })

/** The package that a file belongs to, if any. */
export const packageOf = (path) => packages.find(({ directory }) => path.startsWith(directory + sep))

/**
 * Where a file of a package stands: `room` is the folder below internal/, and undefined for public modules;
 * `module` is the name of a public module.
 */
export const placeOf = (path) => {
  const found = packageOf(path)
  if (found === undefined) return undefined
  const parts = relative(join(found.directory, "src"), path).split(sep)
  if (parts[0] === "..") return undefined
  return parts[0] === "internal"
    ? { package: found.name, room: parts.length > 2 ? parts[1] : "(loose)", module: undefined }
    : { package: found.name, room: undefined, module: parts.join("/").replace(/\.m?[tj]s$/, "") }
}

/** The targets in an `imports` field, of any nesting: `[condition path, target]`. */
const targetsOf = (value, conditions = []) =>
  typeof value === "string"
    ? [[conditions, value]]
    : value === null || typeof value !== "object"
      ? []
      : Object.entries(value).flatMap(([condition, inner]) => targetsOf(inner, [...conditions, condition]))

const firstFile = (path) =>
  [path, `${path}.ts`, path.replace(/\.js$/, ".ts"), join(path, "index.ts")].find(
    (name) => existsSync(name) && /\.(m?[tj]s)$/.test(name)
  )

/**
 * The files that a specifier may stand for, in this repository: several for one of a package's own `imports`, which
 * depend on the platform. `forBrowsers` leaves out those that Node alone gets.
 */
export const resolveSpecifier = (from, specifier, forBrowsers = false) => {
  if (specifier.startsWith(".")) return [firstFile(resolve(dirname(from), specifier))].filter(Boolean)
  const owner = packageOf(from)
  if (specifier.startsWith("#")) {
    const targets = targetsOf(owner?.manifest.imports?.[specifier])
    const sources = targets.filter(([conditions]) => conditions.includes("effect-tinker-source"))
    return (sources.length > 0 ? sources : targets)
      .filter(([conditions]) => !forBrowsers || !conditions.includes("node"))
      .map(([, target]) => firstFile(resolve(owner.directory, target)))
      .filter(Boolean)
  }
  const own = /^@effect-tinker\/([^/]+)(?:\/(.+))?$/.exec(specifier)
  if (own === null) return []
  return [firstFile(join(root, "packages", own[1], "src", `${own[2] ?? "index"}.ts`))].filter(Boolean)
}

const namesOf = (clause) => {
  const names = []
  let namespace
  if (clause?.name !== undefined) names.push("default")
  const bindings = clause?.namedBindings
  if (bindings !== undefined && ts.isNamespaceImport(bindings)) namespace = bindings.name.text
  if (bindings !== undefined && ts.isNamedImports(bindings)) {
    for (const element of bindings.elements) {
      names.push({ name: (element.propertyName ?? element.name).text, local: element.name.text })
    }
  }
  return { names, namespace }
}

const readImports = (source) => {
  const found = []
  const add = (node, specifier, more) =>
    found.push({
      specifier,
      line: source.getLineAndCharacterOfPosition(node.getStart()).line + 1,
      names: [],
      namespace: undefined,
      dynamic: false,
      isType: false,
      reexportsAll: false,
      ...more
    })
  const visit = (node) => {
    if (ts.isImportDeclaration(node)) {
      add(node, node.moduleSpecifier.text, {
        ...namesOf(node.importClause),
        isType: node.importClause?.isTypeOnly ?? false
      })
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
      const clause = node.exportClause
      add(node, node.moduleSpecifier.text, {
        isType: node.isTypeOnly,
        reexportsAll: clause === undefined,
        reexportedAs: clause !== undefined && ts.isNamespaceExport(clause) ? clause.name.text : undefined,
        names:
          clause !== undefined && ts.isNamedExports(clause)
            ? clause.elements.map(({ name, propertyName }) => ({ name: (propertyName ?? name).text, local: name.text }))
            : []
      })
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      const { qualifier } = node
      const first = qualifier === undefined ? undefined : qualifier.getText(source).split(".")[0]
      add(node, node.argument.literal.text, {
        isType: true,
        names: first === undefined ? [] : [{ name: first, local: first }]
      })
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [argument] = node.arguments
      add(node, argument !== undefined && ts.isStringLiteralLike(argument) ? argument.text : undefined, {
        dynamic: true
      })
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

const parsed = new Map()

/** The text of a file, its syntax tree, and its imports. */
export const parse = (path) => {
  if (!parsed.has(path)) {
    const text = readFileSync(path, "utf8")
    const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
    parsed.set(path, { path, text, source, imports: readImports(source) })
  }
  return parsed.get(path)
}

/** What every source of the packages imports, types and dynamic imports included: `{ from, to, line }`. */
export const edges = () =>
  packages.flatMap(({ sources }) =>
    sources.flatMap((from) =>
      parse(from).imports.flatMap(({ line, specifier }) =>
        specifier === undefined
          ? []
          : resolveSpecifier(from, specifier)
              .filter((to) => to !== from)
              .map((to) => ({ from, to, line }))
      )
    )
  )
