/** A service, a database and runner processes, and a trainer that uses them. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as Store from "@effect-tinker/server/Store"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { createServer } from "node:net"
import { fileURLToPath } from "node:url"
import { bundleProgram } from "../../../../scripts/bundle-program.mjs"
import * as Metrics from "../../src/Metrics.ts"
import * as NodeRollouts from "../../src/NodeRollouts.ts"
import * as cluster from "./clusterRun.ts"

/** A program beside this file, to be run by Node. */
const bundled = (script: string) => Effect.promise(() => bundleProgram(fileURLToPath(new URL(script, import.meta.url))))

const freePort = Effect.async<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** A runner process, which ends with the scope. */
const startRunner = (url: string, directory: string, database: string, millis: number) =>
  Effect.gen(function* () {
    const port = yield* freePort
    const program = yield* bundled("rolloutRunner.ts")
    const args = [url, directory, database, String(port), String(millis)]
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [program, ...args], { stdio: ["ignore", 2, 2] })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    return { pid: child.pid!, kill: Effect.sync(() => void child.kill("SIGKILL")) }
  })

/** The URL of an empty PostgreSQL database until the scope closes, or the reason why there is none. */
export const postgres = Effect.gen(function* () {
  const program = yield* bundled("../../../embedded/test/utils/postgresServer.ts")
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"] })),
    (child) => Effect.sync(() => child.kill("SIGTERM"))
  )
  return yield* Effect.async<string>((resume) => {
    let text = ""
    child.stdout.on("data", (chunk) => {
      text += String(chunk)
      if (text.includes("\n")) resume(Effect.succeed(text.trim()))
    })
    child.once("close", () => resume(Effect.succeed(text.trim())))
  })
})

/** The number of rows of the cluster's requests and answers, and the files of trajectories. */
const leftIn = (directory: string, database: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const sql = yield* SqlClient.SqlClient
    let rows = 0
    for (const table of ["messages", "replies"]) {
      const [row] = yield* sql<{
        readonly n: number | bigint
      }>`SELECT COUNT(*) AS n FROM ${sql(`tinker_rollouts_${table}`)}`
      rows += Number(row!.n)
    }
    const all = yield* fs.readDirectory(directory, { recursive: true })
    return { rows, files: all.filter((name) => /\/\d+-\d+(\.json)?$|draft-/.test(name)) }
  }).pipe(Effect.provide(Layer.merge(cluster.layerDatabase(database), NodeContext.layer)), Effect.scoped)

/**
 * Checks that every episode ended, and that those that were begun again were not ended before: a process that was killed had
 * begun them, or a shard moved.
 */
export const checkLog = (lines: ReadonlyArray<string>, killed: ReadonlyArray<number>, steps: number, moved = false) => {
  const ended = new Map<string, string>()
  const begun = new Map<string, string>()
  for (const line of lines) {
    const [what, name, pid] = line.split(" ") as [string, string, string]
    if (what === "begin") {
      assert.ok(!ended.has(name), `${name} was played again though it had ended`)
      const before = begun.get(name)
      assert.ok(before === undefined || moved || killed.includes(Number(before)), `${name} was played twice`)
      begun.set(name, pid)
    } else ended.set(name, pid)
  }
  assert.strictEqual(ended.size, steps * cluster.perStep * cluster.size)
}

/** A service of the test engine that listens, and a directory with what the processes share. */
export const make = Effect.fnUntraced(function* ({
  database,
  failing
}: { readonly database?: string | undefined; readonly failing?: string } = {}) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped()
  const server = yield* Layer.build(
    NodeServer.layer({ port: 0 }).pipe(
      Layer.provide([TestEngine.layer(), CheckpointStore.layerMemory, Store.layerMemory])
    )
  )
  const url = yield* Effect.provide(NodeServer.baseUrl, server)
  const file = database ?? `${directory}/cluster.db`
  const client = ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: url }).pipe(
    Layer.provide(FetchHttpClient.layer)
  )
  const log = `${directory}/log`
  const where = (millis: number): cluster.Where => ({ log, millis })
  const trainer = NodeRollouts.layerCluster({ directory })
  const runner = NodeRollouts.layerRunner({ directory, groups: cluster.groups({ ...where(0), failing }) }).pipe(
    Layer.provide(cluster.layerFiles(where(0)))
  )
  /** what a trainer needs; with an address, the same process is a runner too */
  const layerOf = (address?: NodeRollouts.Address) =>
    Layer.mergeAll(Metrics.layerSilent, trainer, address === undefined ? Layer.empty : runner).pipe(
      Layer.provide(NodeRollouts.layerSockets(address, cluster.sharding)),
      Layer.provideMerge(client),
      Layer.provide(cluster.layerDatabase(file)),
      Layer.provideMerge(NodeContext.layer)
    )
  const lines = Effect.map(
    Effect.orElseSucceed(fs.readFileString(log), () => ""),
    (text) => text.split("\n").filter((line) => line !== "")
  )
  return {
    directory,
    lines,
    where,
    layer: layerOf(),
    together: layerOf({ host: "127.0.0.1", port: yield* freePort }),
    left: leftIn(directory, file),
    runner: (millis: number) => startRunner(url, directory, file, millis),
    /** waits until a line of the log is such */
    until: (isSuch: (line: string) => boolean) =>
      lines.pipe(
        Effect.repeat({ until: (all) => all.some(isSuch), schedule: Schedule.spaced("30 millis") }),
        Effect.asVoid
      )
  }
})
