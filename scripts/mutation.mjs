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
// the newest needs Node 22
const version = "9.6.1"

// what decides access, keys, order, futures, checkpoint files, submission and retry; with the tests of these concerns
const groups = {
  access: {
    name: "server",
    files: [
      "src/internal/auth/*.ts",
      "src/internal/checkpoints/access.ts",
      "src/internal/queries/visibility.ts",
      "src/internal/transfers/{downloads,signedUrls}.ts"
    ],
    tests: [
      "internal/{auth,queries,records}/*",
      "internal/checkpoints/access",
      "internal/transfers/{downloads,signedUrls}"
    ]
  },
  commands: {
    name: "server",
    files: ["src/internal/commands/*.ts", "src/internal/transfers/uploads.ts"],
    tests: [
      "behaviour/checkpointFiles",
      "internal/commands/*",
      "internal/transfers/uploads",
      "internal/checkpoints/quota"
    ]
  },
  order: {
    name: "server",
    files: ["src/internal/models/{loadWeights,modelQueue,models,submitOperation}.ts"],
    tests: ["internal/models/modelQueue", "internal/models/*", "behaviour/{backPressure,fieldBounds}"]
  },
  futures: {
    name: "server",
    files: ["src/internal/work/{futures,lostModels,retrieveResult,sessions}.ts"],
    tests: ["internal/work/*", "internal/endpoints/*", "behaviour/{backPressure,endedSessions,takenOverSessions}"]
  },
  samplers: {
    name: "server",
    files: ["src/internal/sampling/{sampleCompletions,samplers,sources}.ts"],
    tests: [
      "behaviour/{backPressure,liveCounts,takenOverSessions}",
      "internal/sampling/*",
      "internal/endpoints/futures"
    ]
  },
  files: {
    name: "server",
    files: ["src/internal/checkpoints/{directories,fileStore,recovery,reservations,storedInfo}.ts"],
    tests: ["behaviour/crashRecovery", "CheckpointStore", "internal/checkpoints/*"]
  },
  store: {
    name: "embedded",
    files: ["../server/src/internal/store/{memory,mutations,sql/statements}.ts"],
    tests: ["behaviour/stores"]
  },
  credentials: {
    name: "client",
    files: ["src/internal/auth/*.ts"],
    tests: ["internal/auth/*", "CredentialsFile", "Credentials"]
  },
  download: {
    name: "client",
    files: ["src/internal/download/{checksums,fileVersion,transfer}.ts"],
    tests: ["CheckpointDownload", "behaviour/damagedDownloads", "internal/download/*"]
  },
  submissions: {
    name: "client",
    files: ["src/internal/submissions/*.ts"],
    tests: [
      "internal/submissions/*",
      "Pipeline",
      "Step",
      "TinkerFuture",
      "CustomLoss",
      "internal/training/*",
      "behaviour/{refusals,repeatedFailures,serviceRestart}"
    ]
  },
  retry: {
    name: "client",
    files: ["src/internal/transport/{attempt,classify,redirects,retries}.ts"],
    tests: [
      "TinkerClient",
      "internal/transport/*",
      "behaviour/{faults,repeatedFailures,observability}",
      "RestClient",
      "NodeHttpClient"
    ]
  }
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
const copy = (work) => {
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

/**
 * One thread loads all modules once, and runs the tests of all mutants. It is replaced after a timeout. Without the change
 * to the pool, loading takes most of the time. Tests run in the order of the list: the first one that fails ends a run.
 */
const vitestConfig = (directory, tests) => `
import { createRequire } from "node:module"
import { defineConfig } from "vitest/config"
import { BaseSequencer } from "vitest/node"

const { Tinypool } = await import(createRequire(createRequire(import.meta.url).resolve("vitest/package.json")).resolve("tinypool"))
Tinypool.prototype.recycleWorkers = async () => undefined

const tests = ${JSON.stringify(tests)}
class InOrder extends BaseSequencer {
  async sort(files) {
    const rank = ({ moduleId }) => tests.findIndex((test) => moduleId.includes(test.split(/[*{]/)[0]))
    return [...files].sort((a, b) => rank(a) - rank(b))
  }
}
const conditions = ["effect-tinker-source"]
export default defineConfig({
  root: ${JSON.stringify(directory)},
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: tests,
    // longer than the timeout of a mutant, so that a test that hangs is listed as a timeout
    testTimeout: 600_000,
    poolOptions: { threads: { isolate: false } },
    sequence: { sequencer: InOrder },
    setupFiles: [${JSON.stringify(join(directory, "../../mutation.setup.mjs"))}]
  }
})
`

/** No mutant is active while the modules of the next run load. */
const setup = `
import { afterAll } from "vitest"
afterAll(() => {
  if (globalThis.__stryker__ !== undefined) globalThis.__stryker__.activeMutant = undefined
})
`

const mutate = (group, mutated, tests) => {
  const { name } = groups[group]
  const work = join(root, "build/mutation", group)
  copy(work)
  writeFileSync(join(work, "vitest.mutation.config.ts"), vitestConfig(join(work, "packages", name), tests))
  writeFileSync(join(work, "mutation.setup.mjs"), setup)
  const settings = {
    mutate: mutated.map((file) => join("packages", name, file)),
    inPlace: true,
    testRunner: "vitest",
    plugins: [join(tool, "node_modules/@stryker-mutator/vitest-runner/dist/src/index.js")],
    vitest: { configFile: "vitest.mutation.config.ts", related: false },
    coverageAnalysis: "perTest",
    ignoreStatic: true,
    reporters: ["clear-text", "progress-append-only", "json"],
    jsonReporter: { fileName: `../reports/${group}.json` },
    concurrency: 1,
    // beside what the tests take: on a busy machine a short one would count mutants as found that no test finds
    timeoutMS: 90_000,
    thresholds: { high: 95, low: 90, break: 90 }
  }
  writeFileSync(join(work, "stryker.config.json"), JSON.stringify(settings))
  const stryker = join(tool, "node_modules/@stryker-mutator/core/bin/stryker.js")
  return spawnSync(process.execPath, [stryker, "run"], { cwd: work, stdio: "inherit" }).status ?? 1
}

// `npm run mutation -- access src/internal/checkpoints/access.ts test/behaviour/isolation.test.ts`
const [chosen, file, ...tests] = process.argv.slice(2)
if (chosen !== undefined && !(chosen in groups)) {
  throw new Error(`the group is one of ${Object.keys(groups).join(", ")}`)
}
install()
let failed = 0
for (const group of chosen === undefined ? Object.keys(groups) : [chosen]) {
  const all = groups[group].tests.map((test) => `test/${test}.test.ts`)
  failed += mutate(group, file === undefined ? groups[group].files : [file], tests.length > 0 ? tests : all)
}
process.exitCode = failed === 0 ? 0 : 1
