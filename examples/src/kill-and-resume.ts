/**
 * Exact resume after a kill: a process that trains is killed with SIGKILL in the middle and started again. Its losses are
 * those of a process that was left alone, to the bit.
 */
import * as Backend from "@effect-tinker/cookbook/Backend"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Metrics from "@effect-tinker/cookbook/Metrics"
import * as Supervised from "@effect-tinker/cookbook/Supervised"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const own = fileURLToPath(import.meta.url)

/** The program that is killed: everything that it needs to go on is in its directory. */
const train = (directory: string) =>
  Effect.gen(function* () {
    const base = yield* BaseModel.BaseModel
    const file = fileURLToPath(new URL("../data/past-tense.jsonl", import.meta.url))
    const records = yield* Dataset.read(Dataset.PromptCompletion, file)
    yield* Supervised.run({
      model: { base_model: base.name, rank: 16, seed: 0 },
      batches: Batches.make(
        records.map((record) => Dataset.toDatum(record, base.encode)),
        { size: 8, seed: 0 }
      ),
      steps: 12,
      learningRate: LearningRate.linear(5e-3),
      checkpoints: { rolling: { every: 2 } },
      directory: { path: join(directory, "run"), resume: true }
    })
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.merge(Backend.layerConfig({ checkpoints: join(directory, "checkpoints") }), Metrics.layerSilent).pipe(
        Layer.provideMerge(NodeContext.layer),
        Layer.provide(FetchHttpClient.layer)
      )
    )
  )

/** The losses of the steps that a run has recorded. */
const lossesOf = (directory: string): ReadonlyArray<number> => {
  const file = join(directory, "run", "metrics.jsonl")
  if (!existsSync(file)) return []
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1)
  return lines.map((line) => JSON.parse(line)["train_mean_nll"]).filter((loss) => typeof loss === "number")
}

/** Runs this file in another process, and kills it when it has recorded so many steps. */
const runProcess = (directory: string, killAfter = Number.POSITIVE_INFINITY) =>
  new Promise<NodeJS.Signals | null>((resolve) => {
    const child = spawn(process.execPath, [...process.execArgv, own, directory], { stdio: "inherit" })
    const watch = setInterval(() => {
      if (lossesOf(directory).length >= killAfter) child.kill("SIGKILL")
    }, 20)
    child.once("exit", (_, signal) => {
      clearInterval(watch)
      resolve(signal)
    })
  })

const directory = process.argv[2]
if (directory !== undefined) {
  NodeRuntime.runMain(train(directory))
} else {
  const [whole, killed] = ["whole", "killed"].map((name) => mkdtempSync(join(tmpdir(), `tinker-${name}-`))) as [
    string,
    string
  ]
  await runProcess(whole)
  const signal = await runProcess(killed, 5)
  console.log(`ended by ${signal} after ${lossesOf(killed).length} steps; starts it again`)
  await runProcess(killed)
  const equal = JSON.stringify(lossesOf(whole)) === JSON.stringify(lossesOf(killed))
  console.log(`${lossesOf(killed).length} steps; the losses are ${equal ? "equal to the bit" : "different"}`)
  for (const path of [whole, killed]) rmSync(path, { recursive: true })
  process.exitCode = equal && signal === "SIGKILL" ? 0 : 1
}
