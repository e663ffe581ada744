/**
 * Runs the programs of the documentation over the embedded service, each page in an empty directory: `npm run docs:run`, or
 * with names of pages, such as `-- getting-started`. It is part of the nightly checks.
 *
 *     <!-- file: data.jsonl -->       the block below is written to this file
 *     <!-- run: first.ts -->          the block below is written to this file and run
 *     <!-- run: first.test.ts -->     the same, by vitest
 *
 * A program fails if it exits with another code than 0. What it prints is shown.
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { filesBelow, packages, root, shortPath } from "./check-source/sources.mjs"

const directory = join(root, "build", "run-docs")

const pages = [
  ...filesBelow(join(root, "docs"), [".md"]),
  ...packages.map((found) => join(found.directory, "README.md"))
]

/** The marked blocks of a page, in order. */
const blocksOf = (page) =>
  Array.from(
    readFileSync(page, "utf8").matchAll(/<!-- (file|run): ([\w./-]+) -->\n+```\w+\n([\s\S]*?)^```$/gm),
    ([, kind, name, code]) => ({ kind, name, code })
  )

const options = ["--conditions=effect-tinker-source"]

/** The command for a program: vitest for tests, which stand beside a configuration of their own. */
const commandOf = (name) =>
  name.endsWith(".test.ts")
    ? [join(root, "node_modules", "vitest", "vitest.mjs"), "run", name]
    : [...options, "--import", "tsx", name]

const vitestConfig = `export default {
  resolve: { conditions: ["effect-tinker-source"] },
  ssr: { resolve: { conditions: ["effect-tinker-source"] } },
  test: { include: ["*.test.ts"] }
}
`

/** Runs the programs of a page, and returns how many failed. */
const runPage = (page, work) => {
  let failed = 0
  writeFileSync(join(work, "package.json"), '{ "type": "module" }\n')
  writeFileSync(join(work, "vitest.config.mjs"), vitestConfig)
  for (const { code, kind, name } of blocksOf(page)) {
    writeFileSync(join(work, name), code)
    if (kind === "file") continue
    const started = performance.now()
    const env = { ...process.env, NODE_NO_WARNINGS: "1" }
    for (const key of Object.keys(env)) if (key.startsWith("TINKER_")) delete env[key]
    const { status } = spawnSync(process.execPath, commandOf(name), {
      cwd: work,
      env,
      stdio: "inherit",
      timeout: 300_000
    })
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    console.log(`${status === 0 ? "passed" : "FAILED"}  ${shortPath(page)} ${name}  ${seconds} s`)
    if (status !== 0) failed += 1
  }
  return failed
}

const chosen = process.argv.slice(2)
const wanted = pages.filter((page) => chosen.length === 0 || chosen.includes(basename(page, ".md")))
mkdirSync(directory, { recursive: true })
let failed = 0
for (const page of wanted.filter((candidate) => blocksOf(candidate).some(({ kind }) => kind === "run"))) {
  // below the repository, so that its packages are found
  const work = mkdtempSync(join(directory, `${basename(page, ".md")}-`))
  failed += runPage(page, work)
  rmSync(work, { recursive: true, force: true })
}
if (failed > 0) process.exitCode = 1
