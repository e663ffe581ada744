/**
 * Installs the packages as a user does, from tarballs in a project of their own, and imports what they export. It needs
 * `npm run build` and a registry, so `.ci/nightly` runs it.
 *
 * Without undici and @effect/platform-node, which are optional, every index must load, and the modules that need them must
 * fail by naming the package to install. With them, everything must work: the embedded service trains for one step.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const names = ["api", "tokenizers", "client", "server", "engine", "testing", "embedded", "cookbook"]
const versions = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).devDependencies
const optional = { undici: versions.undici, "@effect/platform-node": versions["@effect/platform-node"] }
// what needs which of the optional packages
const forNode = { "client/NodeHttpClient": "undici", "server/NodeServer": "@effect/platform-node" }

const program = `
const problems = []
for (const name of ${JSON.stringify(names)}) {
  const modules = Object.keys(await import("@effect-tinker/" + name)).length
  if (modules === 0) problems.push("@effect-tinker/" + name + " exports nothing")
}
for (const [name, needed] of Object.entries(${JSON.stringify(forNode)})) {
  const error = await import("@effect-tinker/" + name).then(() => undefined, (error) => error)
  if (process.argv[2] === "complete" ? error !== undefined : !String(error?.message).includes("'" + needed + "'")) {
    problems.push("@effect-tinker/" + name + ": " + (error?.message ?? "loaded without " + needed))
  }
}
const hidden = await import("@effect-tinker/client/internal/util/uuid").then(() => undefined, (error) => error)
if (hidden?.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") problems.push("internal modules are exported")
for (const problem of problems) console.error(problem)
process.exitCode = problems.length
`

const training = `
import * as Datum from "@effect-tinker/api/Datum"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { Effect, Fiber, Layer } from "effect"

const program = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const training = yield* service.createLoraTrainingClient({ base_model: "effect-tinker/nano", rank: 4 })
  const forward = yield* training.forwardBackward([Datum.fromPromptCompletion([1, 2], [3, 4])], "cross_entropy")
  return (yield* Fiber.join(forward)).metrics["loss:sum"]
})
const ServiceLive = Embedded.layerServiceClient().pipe(Layer.provide(NodeContext.layer))
console.log("loss", await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(ServiceLive))))
`

for (const name of names) {
  if (existsSync(join(root, "packages", name, "dist", "index.js"))) continue
  console.error(`packages/${name} is not built: run npm run build`)
  process.exit(1)
}

/** The project of `tinker init` starts, passes its test and its types at once, and trains on newer versions of Node too. */
const checkNewProject = () => {
  npm("pack", join(root, "packages", "cli"), "--pack-destination", scratch)
  const inProject = (command, ...args) =>
    execFileSync(command, args, { cwd: join(scratch, "my-model"), stdio: "inherit", timeout: 600_000 })
  const tinker = join(root, "packages", "cli", "dist", "bundle", "tinker.js")
  execFileSync("node", [tinker, "init", "my-model", "--packages", scratch], { cwd: scratch, stdio: "inherit" })
  inProject("npm", "install", "--no-audit", "--no-fund", "--silent")
  for (const script of ["start", "test", "types"]) inProject("npm", "run", "--silent", script)
  for (const version of ["22", "24"]) {
    for (const directory of ["runs", "checkpoints"]) {
      rmSync(join(scratch, "my-model", directory), { recursive: true, force: true })
    }
    inProject("npx", "--yes", `node@${version}`, "--import", "tsx", "src/main.ts")
    console.log(`the project of tinker init trains on Node ${version}`)
  }
}

const scratch = mkdtempSync(join(tmpdir(), "check-packages-"))
const npm = (...args) => execFileSync("npm", [...args, "--silent"], { cwd: scratch, encoding: "utf8" })
try {
  const tarballs = names.map((name) => {
    const packed = npm("pack", join(root, "packages", name), "--pack-destination", scratch)
    return [`@effect-tinker/${name}`, `file:${join(scratch, packed.trim().split("\n").at(-1))}`]
  })
  const peers = { effect: versions.effect, "@effect/platform": versions["@effect/platform"] }
  const manifest = { private: true, type: "module", dependencies: { ...peers, ...Object.fromEntries(tarballs) } }
  writeFileSync(join(scratch, "package.json"), JSON.stringify(manifest))
  writeFileSync(join(scratch, "main.mjs"), program)
  writeFileSync(join(scratch, "training.mjs"), training)
  const run = (which) => {
    npm("install", "--no-audit", "--no-fund", "--omit=optional")
    execFileSync("node", ["main.mjs", which], { cwd: scratch, stdio: "inherit" })
    console.log(`${names.length} packages import, ${which}`)
  }
  run("without what is optional")
  Object.assign(manifest.dependencies, optional)
  writeFileSync(join(scratch, "package.json"), JSON.stringify(manifest))
  run("complete")
  execFileSync("node", ["training.mjs"], { cwd: scratch, stdio: "inherit", timeout: 120_000 })
  checkNewProject()
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
