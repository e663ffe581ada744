/**
 * What may import what: packages other packages, rooms (the folders below `internal/`) other rooms and public modules of
 * their package, and which files may import what only Node has. The tables are the rule; change them with the code.
 */
import { builtinModules } from "node:module"
import { circlesOf, graphOf } from "./circles.mjs"
import { edges, packages, parse, placeOf, resolveSpecifier, shortPath } from "./sources.mjs"

/** The workspaces that the sources of each package may import. Tests may import any. */
export const allowedPackages = {
  api: [],
  tokenizers: [],
  client: ["api", "tokenizers"],
  server: ["api"],
  engine: ["api", "server", "tokenizers"],
  testing: ["api", "client", "server"],
  embedded: ["api", "client", "engine", "server"],
  cookbook: ["api", "client", "embedded", "engine", "server", "tokenizers"],
  cli: ["api", "client", "cookbook", "embedded", "engine", "server", "tokenizers"]
}

/**
 * What each room may import of its own package: rooms by the names of their folders, public modules by theirs, and "*"
 * for any public module. Public modules may import every room of their package.
 */
export const allowedRooms = {}

/** The files that may import Node's modules, undici and @effect/platform-node; browsers never load them. */
const nodeFiles = [
  /^packages\/cli\/src\//,
  /^packages\/\w+\/src\/Node\w*\.ts$/,
  /^packages\/\w+\/src\/internal\/(?:\w+\/)*(?:undici|worker|node)\//,
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

const packageName = (specifier) =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")

const declared = ({ dependencies, optionalDependencies, peerDependencies }) =>
  new Set(Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }))

const checkPackages = (report) => {
  for (const { directory, manifest, name, sources } of packages) {
    const allowed = allowedPackages[name]
    if (allowed === undefined) {
      report(directory, 0, "has no entry in scripts/check-source/rooms.mjs")
      continue
    }
    const dependencies = declared(manifest)
    for (const other of Object.keys(manifest.dependencies ?? {}).filter((other) =>
      other.startsWith("@effect-tinker/")
    )) {
      if (!allowed.includes(other.slice("@effect-tinker/".length))) report(directory, 0, `may not depend on ${other}`)
    }
    for (const path of sources) {
      for (const { line, specifier } of parse(path).imports) {
        if (specifier === undefined) {
          report(path, line, "imports what bundlers cannot see: name the module in the import itself")
          continue
        }
        if (/^[.#]/.test(specifier) || specifier.startsWith("node:")) continue
        const imported = packageName(specifier)
        // the one file that runs in this repository alone
        if (imported === "tsx" && path.endsWith("FromSources.mjs")) continue
        if (!dependencies.has(imported)) report(path, line, `imports ${imported}, which package.json does not name`)
        const own = /^@effect-tinker\/([^/]+)/.exec(specifier)?.[1]
        if (own !== undefined && !allowed.includes(own)) report(path, line, `may not import @effect-tinker/${own}`)
      }
    }
  }
}

const checkRooms = (report) => {
  for (const { from, line, to } of edges()) {
    const [source, target] = [placeOf(from), placeOf(to)]
    if (source?.room === undefined || source.package !== target?.package || source.room === target.room) continue
    const allowed = allowedRooms[source.package]?.[source.room]
    if (allowed === undefined) continue
    if (
      target.room !== undefined
        ? allowed.includes(target.room)
        : allowed.includes("*") || allowed.includes(target.module)
    ) {
      continue
    }
    report(from, line, `internal/${source.room} may not import ${shortPath(to)}`)
  }
  for (const { directory, name, sources } of packages) {
    const rooms = new Set(sources.map((path) => placeOf(path).room).filter(Boolean))
    for (const room of rooms) {
      if (allowedRooms[name]?.[room] === undefined) {
        report(directory, 0, `internal/${room} has no entry in scripts/check-source/rooms.mjs`)
      }
    }
    for (const room of Object.keys(allowedRooms[name] ?? {})) {
      if (!rooms.has(room)) report(directory, 0, `internal/${room} is in scripts/check-source/rooms.mjs, but not here`)
    }
  }
}

/** Rooms form no circles, also where no circle of files runs through them. */
const checkRoomCircles = (report) => {
  const between = edges()
    .map(({ from, line, to }) => ({ from, line, source: placeOf(from), target: placeOf(to), to }))
    .filter(
      ({ source, target }) =>
        source.room !== undefined &&
        target.room !== undefined &&
        source.package === target.package &&
        source.room !== target.room
    )
  const nameOf = (place) => `${place.package}/${place.room}`
  for (const circle of circlesOf(graphOf(between.map(({ source, target }) => [nameOf(source), nameOf(target)])))) {
    for (const { from, line, source, target, to } of between) {
      if (circle.includes(nameOf(source)) && circle.includes(nameOf(target))) {
        report(from, line, `imports ${shortPath(to)}, so that rooms are in a circle: ${circle.join(", ")}`)
      }
    }
  }
}

const checkNode = (report) => {
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

/** The rooms as they are: package → room → what its files import of the package. Printed by --rooms. */
export const actualRooms = () => {
  const found = {}
  for (const { from, to } of edges()) {
    const [source, target] = [placeOf(from), placeOf(to)]
    if (source?.room === undefined || source.package !== target?.package || source.room === target.room) continue
    found[source.package] ??= {}
    found[source.package][source.room] ??= new Set()
    found[source.package][source.room].add(target.room ?? target.module)
  }
  for (const { name, sources } of packages) {
    for (const path of sources) {
      const { room } = placeOf(path)
      if (room !== undefined) (found[name] ??= {})[room] ??= new Set()
    }
  }
  return Object.fromEntries(
    Object.entries(found).map(([name, rooms]) => [
      name,
      Object.fromEntries(
        Object.keys(rooms)
          .sort()
          .map((room) => [room, [...rooms[room]].sort()])
      )
    ])
  )
}

export const check = (report) => {
  checkPackages(report)
  checkRooms(report)
  checkRoomCircles(report)
  checkNode(report)
}
