/**
 * Runs the official Python client, unmodified, against this service over a socket.
 *
 *     npm run interop             with the test engine
 *     npm run interop -- nano     with the engine that really trains, and the shipped model
 */
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Command from "@effect/platform/Command"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { fileURLToPath } from "node:url"

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const inEnvironment = (name: string) =>
  path(process.platform === "win32" ? `.venv/Scripts/${name}.exe` : `.venv/bin/${name}`)
const key = "tml-interop"

const run = (program: string, ...args: ReadonlyArray<string>) =>
  Command.make(program, ...args).pipe(Command.stdout("inherit"), Command.stderr("inherit"), Command.exitCode)

/** Installs the client; returns the reason to skip the run, if there is one. */
const prepare = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const recent = yield* Command.string(
    Command.make("python3", "-c", "import sys; print(sys.version_info >= (3, 11))")
  ).pipe(Effect.orElseSucceed(() => ""))
  if (recent.trim() !== "True") return "Python 3.11 or later was not found"
  if (!(yield* fs.exists(inEnvironment("python")))) {
    if ((yield* run("python3", "-m", "venv", path(".venv"))) !== 0) return "no virtual environment could be made"
  }
  const requirements = path("requirements.txt")
  const code = yield* run(inEnvironment("python"), "-m", "pip", "install", "--quiet", "-r", requirements).pipe(
    Effect.timeoutOption("2 minutes")
  )
  return Option.getOrElse(code, () => 1) === 0 ? undefined : "the official client could not be installed"
})

const engine = Effect.gen(function* () {
  if (!process.argv.includes("nano")) return TestEngine.layer()
  const JaxEngine = yield* Effect.promise(() => import("@effect-tinker/engine/JaxEngine"))
  return JaxEngine.layer()
})

const main = Effect.gen(function* () {
  const reason = yield* prepare
  if (reason !== undefined) return yield* Console.log(`skipped: ${reason}`)
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "interop-" })
  const layer = yield* engine
  const server = NodeServer.layer({
    apiKeys: [Redacted.make(key)],
    clientConfig: { proto_compress_fwdbwd: true, sample_join_sampling_session: true }
  }).pipe(Layer.provide([layer, CheckpointStore.layerFileSystem(directory)]))
  const code = yield* Effect.gen(function* () {
    const url = yield* NodeServer.baseUrl
    return yield* run(inEnvironment("python"), path("loop.py"), url, key)
  }).pipe(Effect.provide(server))
  if (code !== 0) process.exitCode = 1
}).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

NodeRuntime.runMain(main)
