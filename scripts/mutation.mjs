/**
 * Mutation testing by hand: `npm run mutation` changes the sources of a copy in small ways, and lists the changes that no
 * test finds. Installs Stryker into `build/mutation` first. CONTRIBUTING.md says how to run a part of it.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const tool = join(root, "build/mutation/tool")
const work = join(root, "build/mutation/work")
// the newest needs Node 22
const version = "9.6.1"

// what decides access, keys, order, futures, checkpoint files, submission and retry; tests by default: those of the package
const files = {
  server: [
    "src/internal/auth/*.ts",
    "src/internal/checkpoints/{access,directories,fileStore,recovery,reservations,storedInfo}.ts",
    "src/internal/commands/*.ts",
    "src/internal/models/{loadWeights,modelQueue,models,submitOperation}.ts",
    "src/internal/queries/visibility.ts",
    "src/internal/sampling/{sampleCompletions,samplers,sources}.ts",
    "src/internal/transfers/{downloads,signedUrls,uploads}.ts",
    "src/internal/work/{futures,lostModels,retrieveResult,sessions}.ts"
  ],
  client: [
    "src/internal/auth/*.ts",
    "src/internal/download/{checksums,fileVersion,transfer}.ts",
    "src/internal/submissions/*.ts",
    "src/internal/transport/{attempt,classify,redirects,retries}.ts"
  ]
}

/** Stryker finds the vitest of the repository, because its directory is below it. */
const install = () => {
  if (existsSync(join(tool, "node_modules/@stryker-mutator/vitest-runner"))) return
  mkdirSync(tool, { recursive: true })
  writeFileSync(join(tool, "package.json"), '{ "private": true }')
  const packages = ["core", "vitest-runner"].map((name) => `@stryker-mutator/${name}@${version}`)
  const { status } = spawnSync("npm", ["install", "--no-audit", "--no-fund", "--legacy-peer-deps", ...packages], {
    cwd: tool,
    stdio: "inherit"
  })
  if (status !== 0) throw new Error("Stryker could not be installed")
}

/** A copy of the repository, whose packages resolve to the copy. All other modules are found in the repository. */
const copy = () => {
  rmSync(work, { recursive: true, force: true })
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root })
  for (const file of String(listed).split("\0").filter(Boolean)) {
    // vitest would take the list of projects over the configuration that it is given
    if (file === "vitest.workspace.ts" || !existsSync(join(root, file))) continue
    mkdirSync(dirname(join(work, file)), { recursive: true })
    cpSync(join(root, file), join(work, file))
  }
  const scope = join(work, "node_modules/@effect-tinker")
  mkdirSync(scope, { recursive: true })
  for (const name of ["api", "cli", "client", "cookbook", "embedded", "engine", "server", "testing", "tokenizers"]) {
    symlinkSync(join("../../packages", name), join(scope, name))
  }
}

const vitestConfig = (name, tests) => `
import { defineConfig } from "vitest/config"
const conditions = ["effect-tinker-source"]
export default defineConfig({
  root: ${JSON.stringify(join(work, "packages", name))},
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: { include: ${JSON.stringify(tests)}, testTimeout: 120_000 }
})
`

const mutate = (name, mutated, tests) => {
  writeFileSync(join(work, "vitest.mutation.config.ts"), vitestConfig(name, tests))
  const settings = {
    mutate: mutated.map((file) => join("packages", name, file)),
    inPlace: true,
    testRunner: "vitest",
    plugins: [join(tool, "node_modules/@stryker-mutator/vitest-runner/dist/src/index.js")],
    vitest: { configFile: "vitest.mutation.config.ts", related: false },
    coverageAnalysis: "perTest",
    ignoreStatic: true,
    reporters: ["clear-text", "progress-append-only", "json"],
    jsonReporter: { fileName: `../reports/${name}.json` },
    concurrency: 1,
    timeoutMS: 60_000,
    thresholds: { high: 95, low: 90, break: 90 }
  }
  writeFileSync(join(work, "stryker.config.json"), JSON.stringify(settings))
  const stryker = join(tool, "node_modules/@stryker-mutator/core/bin/stryker.js")
  return spawnSync(process.execPath, [stryker, "run"], { cwd: work, stdio: "inherit" }).status ?? 1
}

// `npm run mutation -- server src/internal/checkpoints/access.ts test/behaviour/isolation.test.ts`
const [name, file, ...tests] = process.argv.slice(2)
if (name !== undefined && !(name in files)) throw new Error(`the package is ${Object.keys(files).join(" or ")}`)
install()
copy()
let failed = 0
for (const one of name === undefined ? Object.keys(files) : [name]) {
  failed += mutate(one, file === undefined ? files[one] : [file], tests.length > 0 ? tests : ["test/**/*.test.ts"])
}
process.exitCode = failed === 0 ? 0 : 1
