import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Training from "../utils/training.ts"

/** Runs the program, and kills it some steps after it saved its state. Succeeds with the path of that state. */
const trainUntilKilled = (directory: string) =>
  Effect.async<string, Error>((resume) => {
    const program = fileURLToPath(new URL("../utils/trainForever.ts", import.meta.url))
    const root = fileURLToPath(new URL("../../../..", import.meta.url))
    const child = spawn(
      process.execPath,
      ["--conditions=effect-tinker-source", "--import", "tsx", program, directory],
      { cwd: root, stdio: ["ignore", "pipe", "inherit"] }
    )
    let path: string | undefined
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line.startsWith("kept ")) path = line.slice("kept ".length)
      if (line === `step ${Training.stepsBeforeSave + 2}`) child.kill("SIGKILL")
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
    "resumes from its last state with the same results, bit for bit",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const directory = yield* fs.makeTempDirectoryScoped()
        const last = Training.stepsBeforeSave + 3

        /** Runs the remaining steps. Succeeds with their logprobs and the files of the final state. */
        const finish = (model: Effect.Effect.Success<typeof Training.start>, checkpoints: string) =>
          Effect.gen(function* () {
            const logprobs = []
            for (let step = Training.stepsBeforeSave; step < last; step++)
              logprobs.push(yield* Training.step(model, step))
            const saved = yield* Effect.flatMap(model.saveState("end"), Fiber.join)
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
            const model = yield* Training.start
            for (let step = 0; step < Training.stepsBeforeSave; step++) yield* Training.step(model, step)
            return yield* finish(model, other)
          }).pipe(Effect.provide(Training.layer(other)))
        )
        assert.deepStrictEqual(resumed, whole)
      }).pipe(Effect.provide(NodeContext.layer)),
    // starts the service from its sources three times
    { timeout: 180_000 }
  )
})
