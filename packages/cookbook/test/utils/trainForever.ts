/**
 * A program that trains until the test kills it. It takes a directory for checkpoints, and prints a line for each saved
 * state.
 */
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Training from "./training.ts"

const directory = process.argv[2]!

Effect.gen(function* () {
  const model = yield* Training.start
  for (let step = 0; step < Training.stepsBeforeSave; step++) yield* Training.step(model, step)
  const { path } = yield* Effect.flatMap(model.saveState("kept"), Fiber.join)
  process.stdout.write(`kept ${path}\n`)
  for (let step = Training.stepsBeforeSave; ; step++) {
    yield* Training.step(model, step)
    // a new name for each, so that the process may be killed during a save
    yield* Effect.flatMap(model.saveState(`after-${step}`), Fiber.join)
    process.stdout.write(`step ${step}\n`)
  }
}).pipe(
  Effect.scoped,
  Effect.provide(Training.layer(directory)),
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain
)
