/** Which files may import what only Node has: its modules, undici and @effect/platform-node. Browsers never load them. */
import { builtinModules } from "node:module"
import { packages, parse, placeOf, resolveSpecifier, shortPath } from "./sources.mjs"

/** The cli, public modules named Node…, and internal files and folders that are named for it. */
const nodeFiles = [
  /^packages\/cli\/src\//,
  /^packages\/\w+\/src\/Node\w*\.ts$/,
  /^packages\/\w+\/src\/internal\/(?:\w+\/)*(?:undici|node)\//,
  /^packages\/\w+\/src\/internal\/(?:\w+\/)*node[A-Z]\w*\.ts$/
]

const builtin = new Set(builtinModules)

/** Whether only Node has what a specifier names. */
export const isNodeSpecifier = (specifier) =>
  specifier.startsWith("node:") ||
  builtin.has(specifier) ||
  /^(?:undici|@effect\/platform-node)(?:\/|$)/.test(specifier)

/** Whether a file, or what it imports statically under the conditions of browsers, needs Node. */
export const needsNode = (path, seen = new Set()) => {
  if (seen.has(path)) return false
  seen.add(path)
  return parse(path).imports.some(
    ({ dynamic, isType, specifier }) =>
      !dynamic &&
      !isType &&
      (isNodeSpecifier(specifier) || resolveSpecifier(path, specifier, true).some((target) => needsNode(target, seen)))
  )
}

export const check = (report) => {
  for (const { name, sources } of packages) {
    for (const path of sources) {
      const isAllowed = nodeFiles.some((pattern) => pattern.test(shortPath(path)))
      for (const { isType, line, specifier } of parse(path).imports) {
        if (!isAllowed && specifier !== undefined && isNodeSpecifier(specifier) && !isType) {
          report(path, line, `imports ${specifier}, which belongs in a module named Node…`)
        }
      }
      const { module } = placeOf(path)
      if (name !== "cli" && module !== undefined && !/^Node|^index$/.test(module) && needsNode(path)) {
        report(path, 0, "needs Node, so its name begins with Node")
      }
    }
  }
}
