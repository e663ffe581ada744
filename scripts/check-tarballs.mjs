/**
 * What users get, without installing it: packs every package, and checks what is in it, by itself and with publint. Licences of
 * all that a user's install brings are of the kinds that ask for nothing but to be kept. It needs `npm run build` or `npm
 * run types`, and a registry for publint, which is fetched when it first runs. `npm run gates` runs it.
 *
 * `--types` also runs attw, which resolves every module as TypeScript does: about a minute.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { packages, root } from "./check-source/sources.mjs"

const publint = "publint@0.3.25"
const attw = "@arethetypeswrong/cli@0.18.5"

/** Licences of dependencies; what is not here needs a person to read it. */
const allowed = [
  "MIT",
  "ISC",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "0BSD",
  "BlueOak-1.0.0",
  "CC0-1.0",
  "Unlicense"
]

const required = [
  "LICENSE",
  "README.md",
  "CHANGELOG.md",
  "AGENTS.md",
  "package.json",
  "dist/index.js",
  "dist/index.d.ts"
]

const fields = ["description", "keywords", "homepage", "bugs", "repository", "license", "engines", "publishConfig"]

const problems = []

const shell = process.platform === "win32"
const execute = (command, args, options = {}) =>
  execFileSync(command, args, { cwd: root, encoding: "utf8", shell, stdio: ["ignore", "pipe", "pipe"], ...options })

/** Runs a tool, and takes what it prints as a problem if it fails. */
const tool = (what, command, args, options) => {
  try {
    execute(command, args, options)
  } catch (error) {
    problems.push(`${what}\n${`${error.stdout ?? ""}${error.stderr ?? ""}`.trim() || error.message}`)
  }
}

const checkManifest = ({ manifest, name }, version) => {
  const report = (text) => problems.push(`packages/${name}/package.json ${text}`)
  for (const field of fields) if (manifest[field] === undefined) report(`has no ${field}`)
  if (manifest.sideEffects === undefined) report("does not say which modules have side effects")
  if (manifest.version !== version) report(`has version ${manifest.version}, and the others ${version}`)
  if (manifest.publishConfig?.provenance !== true) report("does not ask for provenance")
  for (const [dependency, range] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
    if (dependency.startsWith("@effect-tinker/") && range !== `^${version}`) report(`needs ${dependency} ${range}`)
  }
}

const checkContents = ({ name }, tarball) => {
  const files = execute("tar", ["-tzf", tarball])
    .split("\n")
    .filter(Boolean)
    .map((file) => file.replace(/^package\//, ""))
  for (const file of required) if (!files.includes(file)) problems.push(`${name}: the tarball has no ${file}`)
  for (const file of files) {
    if (
      /tsbuildinfo|(^|\/)test\/.*\.test\.ts$|\.venv|\.DS_Store|(^|\/)build\//.test(file) &&
      !file.startsWith("template/")
    ) {
      problems.push(`${name}: the tarball has ${file}`)
    }
  }
}

/** The public modules, since attw does not know what a wildcard stands for. */
const entryPoints = ({ directory, name }) => [
  `@effect-tinker/${name}`,
  ...readdirSync(join(directory, "dist"))
    .filter((file) => /^[A-Z]\w*\.d\.ts$/.test(file))
    .map((file) => `@effect-tinker/${name}/${file.slice(0, -5)}`)
]

const isAllowed = (license) =>
  license.startsWith("(") && license.includes(" AND ")
    ? license.slice(1, -1).split(" AND ").every(isAllowed)
    : license
        .replace(/[()]/g, "")
        .split(" OR ")
        .some((one) => allowed.includes(one))

/** Of all that comes with the packages, not of tools. */
const checkLicences = () => {
  const { packages: locked } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"))
  let count = 0
  for (const [path, entry] of Object.entries(locked)) {
    if (!path.includes("node_modules/") || entry.dev || entry.link) continue
    const file = join(root, path, "package.json")
    // the binaries of other platforms are not installed
    const license = entry.license ?? (existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).license : "MIT")
    count++
    if (typeof license !== "string" || !isAllowed(license)) problems.push(`${path} has the licence ${license}`)
  }
  return count
}

const scratch = mkdtempSync(join(tmpdir(), "check-tarballs-"))
try {
  const { version } = packages[0].manifest
  for (const each of packages) {
    checkManifest(each, version)
    const printed = execute("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", scratch], {
      cwd: each.directory
    })
    const tarball = join(scratch, printed.trim().split("\n").at(-1))
    checkContents(each, tarball)
    tool(`${each.name}: publint`, "npx", ["--yes", publint, "run", tarball, "--strict"])
    if (process.argv.includes("--types")) {
      const args = [attw, tarball, "--profile", "esm-only", "--entrypoints", ...entryPoints(each)]
      tool(`${each.name}: attw`, "npx", ["--yes", ...args])
    }
  }
  const licences = checkLicences()
  for (const problem of problems) console.error(problem)
  console.log(`${packages.length} tarballs, ${licences} licences, ${problems.length} problems`)
  if (problems.length > 0) process.exitCode = 1
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
