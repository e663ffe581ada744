/** `tinker init`. `scripts/check-packages.mjs` installs, starts and tests the project that it makes. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { fileURLToPath } from "node:url"
import { run } from "../../utils/tinker.ts"

const root = fileURLToPath(new URL("../../../../../", import.meta.url))

const readJson = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return JSON.parse(yield* fs.readFileString(file))
  })

it.scopedLive("tinker init makes a project with the versions that this library is tested with", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const cwd = yield* fs.makeTempDirectoryScoped()
    const { code, stderr, stdout } = yield* run(["init", "My Model"], { cwd })
    assert.deepStrictEqual([code, stderr], [0, ""])
    assert.match(stdout, /cd My Model\n {2}npm install\n {2}npm start\n {2}npm test\n$/)
    const directory = `${cwd}/My Model`
    assert.sameMembers(yield* fs.readDirectory(directory), [
      ".gitignore",
      "README.md",
      "data",
      "package.json",
      "src",
      "test",
      "tsconfig.json"
    ])
    const made = yield* readJson(`${directory}/package.json`)
    const [cli, ours] = [yield* readJson(`${root}packages/cli/package.json`), yield* readJson(`${root}package.json`)]
    assert.strictEqual(made.name, "my-model")
    for (const [name, version] of Object.entries({ ...made.dependencies, ...made.devDependencies })) {
      const range = name.startsWith("@effect-tinker/") ? cli.version : ours.devDependencies[name]
      assert.strictEqual(version, range?.replace(/^[\^~]/, ""), name)
    }
    assert.include(yield* fs.readFileString(`${directory}/README.md`), "# my-model\n")

    // nothing is overwritten
    const again = yield* run(["init", "My Model"], { cwd })
    assert.strictEqual(again.code, 1)
    assert.match(again.stderr, /is not empty \(it has [^)]+\): give the name of a new directory/)
  }).pipe(Effect.provide(NodeContext.layer))
)

it.scopedLive("tinker init --packages takes all packages of this library from tarballs", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const cwd = yield* fs.makeTempDirectoryScoped()
    const missing = yield* run(["init", "a", "--packages", cwd], { cwd })
    assert.match(missing.stderr, /has no tarballs effect-tinker-….tgz/)
    assert.isFalse(yield* fs.exists(`${cwd}/a`))
    for (const name of ["api", "server", "testing"])
      yield* fs.writeFileString(`${cwd}/effect-tinker-${name}-0.1.0.tgz`, "")
    const { stdout } = yield* run(["init", "a", "--packages", ".", "-f", "json"], { cwd })
    const { directory } = JSON.parse(stdout)
    const { dependencies, devDependencies } = yield* readJson(`${directory}/package.json`)
    assert.strictEqual(dependencies["@effect-tinker/server"], `file:${cwd}/effect-tinker-server-0.1.0.tgz`)
    assert.match(devDependencies["@effect-tinker/testing"], /^file:.*testing-0\.1\.0\.tgz$/)
  }).pipe(Effect.provide(NodeContext.layer))
)
