/**
 * Where files stand and how they open: internal files stand in rooms of at most 14 files, and every internal file, test
 * helper, program and script opens with a comment that says what it is for.
 */
import { readdirSync } from "node:fs"
import { dirname, join } from "node:path"
import { filesBelow, packages, parse, placeOf, root } from "./sources.mjs"

const maxFiles = 14

/** The file's own comment comes first, and is not the docstring of a declaration below it. */
const opening = /^(?:#!.*\n)?(?:\/\/\/ .*\n)*\/\*\*([\s\S]*?)\*\/(\n\n|\n(?:import|export (?:\*|\{|type \{))|\s*$)/

const checkOpening = (report, path) => {
  const found = opening.exec(parse(path).text)
  const words = found?.[1].replace(/[\s*]+/g, " ").trim() ?? ""
  if (words === "" || words.startsWith("@")) {
    report(path, 1, "does not open with a comment that says what the file is for (followed by a blank line or imports)")
  }
}

export const check = (report) => {
  for (const { directory, sources } of packages) {
    const internal = sources.filter((path) => placeOf(path)?.module === undefined)
    for (const path of internal) {
      checkOpening(report, path)
      if (placeOf(path).room === "(loose)") report(path, 0, "stands loose in internal/: move it into a room")
    }
    for (const folder of new Set(internal.map((path) => dirname(path)))) {
      const count = readdirSync(folder).filter((name) => /\.m?[tj]s$/.test(name)).length
      if (count > maxFiles) report(folder, 0, `has ${count} files; a room has at most ${maxFiles}`)
    }
    for (const path of filesBelow(join(directory, "test"))) {
      if (!path.endsWith(".test.ts")) checkOpening(report, path)
    }
  }
  for (const name of ["bench", "examples", "interop", "scripts", "packages/cli/scripts"]) {
    for (const path of filesBelow(join(root, name), [".ts", ".mjs"])) checkOpening(report, path)
  }
}
