/**
 * Checks the rules of this project that linters do not know; each file in check-source/ is one of them. `npm run lint`
 * runs it, after oxlint, which checks the length of files and functions.
 *
 * - `--write` brings every `src/index.ts` up to date.
 * - `--unused` lists the exports that nobody uses, also those that may stay.
 * - `--rooms` prints which rooms import which at present.
 */
import * as circles from "./check-source/circles.mjs"
import * as docs from "./check-source/docs.mjs"
import * as effect4 from "./check-source/effect4.mjs"
import * as globals from "./check-source/globals.mjs"
import * as layout from "./check-source/layout.mjs"
import * as packages from "./check-source/packages.mjs"
import * as platforms from "./check-source/platforms.mjs"
import * as publicModules from "./check-source/publicModules.mjs"
import * as pythonPage from "./check-source/pythonPage.mjs"
import * as rooms from "./check-source/rooms.mjs"
import { shortPath } from "./check-source/sources.mjs"
import * as tests from "./check-source/tests.mjs"
import * as unused from "./check-source/unused.mjs"

const asked = (flag) => process.argv.includes(flag)
const rules = [
  globals,
  publicModules,
  layout,
  tests,
  packages,
  platforms,
  rooms,
  circles,
  effect4,
  unused,
  docs,
  pythonPage
]

const checks = asked("--unused") ? [unused] : rules
const options = { write: asked("--write"), everything: asked("--unused") }

if (asked("--rooms")) {
  console.log(JSON.stringify(rooms.actualRooms(), null, 2))
} else {
  const problems = []
  const report = (path, line, text) => problems.push(`${shortPath(path)}${line ? `:${line}` : ""} ${text}`)
  for (const { check } of checks) check(report, options)
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) {
    console.error(`${problems.length} problems in the sources`)
    process.exitCode = 1
  }
}
