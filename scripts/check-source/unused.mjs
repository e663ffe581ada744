/**
 * Exports that nobody uses. An export of an internal module needs a use in another file, except for a type that the
 * file itself uses in its signatures. An export of a public module needs a use in this file or another, in a test, an
 * example or a README.
 */
import { readFileSync } from "node:fs"
import { basename, join } from "node:path"
import ts from "typescript"
import { filesBelow, packageOf, packages, parse, placeOf, resolveSpecifier, root } from "./sources.mjs"

const isExported = (statement) =>
  ts.canHaveModifiers(statement) &&
  (ts.getModifiers(statement) ?? []).some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)

/** The names that a file exports: `name → { line, isType }`. */
const exportsOf = ({ source }) => {
  const found = new Map()
  const add = (name, node, isType, isReexport = false) => {
    const before = found.get(name)
    const line = source.getLineAndCharacterOfPosition(node.getStart()).line + 1
    found.set(name, { line: before?.line ?? line, isType: (before?.isType ?? true) && isType, isReexport })
  }
  for (const statement of source.statements) {
    if (ts.isExportDeclaration(statement) && statement.exportClause !== undefined) {
      if (ts.isNamedExports(statement.exportClause)) {
        for (const element of statement.exportClause.elements) {
          add(element.name.text, element, statement.isTypeOnly || element.isTypeOnly, true)
        }
      }
      continue
    }
    if (!isExported(statement)) continue
    if (ts.isVariableStatement(statement)) {
      for (const { name } of statement.declarationList.declarations) {
        if (ts.isIdentifier(name)) add(name.text, name, false)
        else
          for (const element of name.elements) if (ts.isBindingElement(element)) add(element.name.text, element, false)
      }
    } else if (statement.name !== undefined) {
      add(statement.name.text, statement, ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement))
    }
  }
  return found
}

/** How often an identifier occurs in a file, in code. */
const occurrences = ({ source }, wanted) => {
  let count = 0
  const visit = (node) => {
    if (ts.isIdentifier(node) && node.text === wanted) count++
    ts.forEachChild(node, visit)
  }
  visit(source)
  return count
}

/** The members that a file takes of each identifier: `name → members`; "*" for an identifier that stands alone. */
const membersOf = ({ source }) => {
  const found = new Map()
  const add = (name, member) => {
    if (!found.has(name)) found.set(name, new Set())
    found.get(name).add(member)
  }
  const visit = (node) => {
    if (ts.isImportDeclaration(node)) return
    if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) {
      add(node.expression.text, node.name.text)
    } else if (ts.isQualifiedName(node) && ts.isIdentifier(node.left)) {
      add(node.left.text, node.right.text)
    } else if (ts.isIdentifier(node)) {
      add(node.text, "*")
    } else {
      ts.forEachChild(node, visit)
    }
  }
  visit(source)
  return found
}

/** What a file uses of other modules: calls `use(path, name)`, with "*" for a module that is used as a whole. */
const recordUses = (file, use, useDynamically) => {
  const members = membersOf(file)
  const useNamespace = (target, local) => {
    for (const member of members.get(local) ?? []) use(target, member)
  }
  for (const { dynamic, names, namespace, reexportsAll, specifier } of file.imports) {
    if (specifier === undefined) continue
    for (const target of resolveSpecifier(file.path, specifier)) {
      if (target === file.path) continue
      // the result of a dynamic import is passed on, and any file of the package may name its exports
      if (dynamic) useDynamically(target)
      if (reexportsAll) use(target, "*")
      if (namespace !== undefined) useNamespace(target, namespace)
      for (const { local, name } of names) {
        use(target, name)
        // a module by its name, from the package's index
        if (basename(target) === "index.ts") useNamespace(join(target, "..", `${name}.ts`), local)
      }
    }
  }
}

/** Docs name exports as `Module.name`. */
const recordDocs = (use) => {
  const modules = new Map()
  for (const { sources } of packages) {
    for (const path of sources) if (placeOf(path).module !== undefined) modules.set(placeOf(path).module, path)
  }
  const pages = ["docs", "examples", "bench", "packages"].flatMap((name) => filesBelow(join(root, name), [".md"]))
  for (const page of [join(root, "README.md"), ...pages]) {
    for (const [, module, name] of readFileSync(page, "utf8").matchAll(/\b([A-Z]\w+)\.(\w+)\b/g)) {
      if (modules.has(module)) use(modules.get(module), name)
    }
  }
}

export const check = (report, { everything }) => {
  const used = new Map()
  const use = (path, name) => {
    if (!used.has(path)) used.set(path, new Set())
    used.get(path).add(name)
  }
  const everywhere = ["packages", "examples", "bench", "interop", "scripts"].flatMap((name) =>
    filesBelow(join(root, name), [".ts", ".mts", ".mjs"])
  )
  const dynamic = new Set()
  for (const path of everywhere) recordUses(parse(path), use, (target) => dynamic.add(target))
  for (const target of dynamic) {
    for (const path of packageOf(target).sources) {
      if (path !== target) for (const word of parse(path).text.match(/[\w$]+/g)) use(target, word)
    }
  }
  recordDocs(use)
  for (const { sources } of packages) {
    for (const path of sources) {
      if (!path.endsWith(".ts") || basename(path) === "index.ts") continue
      const names = used.get(path) ?? new Set()
      if (names.has("*")) continue
      const file = parse(path)
      const isPublic = placeOf(path).module !== undefined
      for (const [name, { isReexport, isType, line }] of exportsOf(file)) {
        if (names.has(name)) continue
        // a public type that is defined inside belongs to a signature
        const here = isReexport ? isType : occurrences(file, name) > 1
        if (here && (isPublic || isType) && !everything) continue
        report(path, line, `${name} is used ${here ? "in this file alone" : "nowhere"}`)
      }
    }
  }
}
