import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Training from "./utils/training.ts"

/** Runs the program over a directory, kills it when it has gone on for some steps, and answers where it kept its state. */
const trainUntilKilled = (directory: string) =>
  Effect.async<string, Error>((resume) => {
    const program = fileURLToPath(new URL("utils/train.ts", import.meta.url))
    const root = fileURLToPath(new URL("../../..", import.meta.url))
    const child = spawn(
      process.execPath,
      ["--conditions=effect-tinker-source", "--import", "tsx", program, directory],
      { cwd: root, stdio: ["ignore", "pipe", "inherit"] }
    )
    let path: string | undefined
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line.startsWith("kept ")) path = line.slice("kept ".length)
      if (line === `step ${Training.kept + 2}`) child.kill("SIGKILL")
    })
    child.on("exit", (code, signal) =>
      resume(
        signal === "SIGKILL" && path !== undefined
          ? Effect.succeed(path)
          : Effect.fail(new Error(`the program ended with ${signal ?? code}`))
      )
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

describe("a training program that is killed", () => {
  it.scopedLive(
    "goes on from its last state as if nothing had happened, to the bit",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const directory = yield* fs.makeTempDirectoryScoped()
        const last = Training.kept + 3

        /** The rest of the steps, and the files of the state behind them. */
        const finish = (model: Effect.Effect.Success<typeof Training.begin>, checkpoints: string) =>
          Effect.gen(function* () {
            const logprobs = []
            for (let step = Training.kept; step < last; step++) logprobs.push(yield* Training.step(model, step))
            const saved = yield* yield* model.saveState("end")
            const files = Option.getOrThrow(CheckpointStore.directoryOf(path, checkpoints, saved.path))
            const tensors = (yield* fs.readDirectory(files)).filter((file) => file.endsWith(".safetensors")).sort()
            assert.isAbove(tensors.length, 0)
            return {
              logprobs,
              tensors,
              bytes: yield* Effect.forEach(tensors, (file) => fs.readFile(path.join(files, file)))
            }
          })

        const resumed = yield* Effect.scoped(
          Effect.gen(function* () {
            const kept = yield* trainUntilKilled(directory)
            const model = Training.resume(kept)
            return yield* Effect.provide(
              Effect.flatMap(model, (model) => finish(model, directory)),
              Training.layer(directory)
            )
          })
        )
        const other = yield* fs.makeTempDirectoryScoped()
        const whole = yield* Effect.scoped(
          Effect.gen(function* () {
            const model = yield* Training.begin
            for (let step = 0; step < Training.kept; step++) yield* Training.step(model, step)
            return yield* finish(model, other)
          }).pipe(Effect.provide(Training.layer(other)))
        )
        assert.deepStrictEqual(resumed, whole)
      }).pipe(Effect.provide(NodeContext.layer)),
    // three times a service starts from its sources
    { timeout: 180_000 }
  )
})
