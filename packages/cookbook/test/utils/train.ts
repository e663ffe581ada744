/**
 * Trains over a directory of checkpoints, one step after another, and says on stdout what it does. Run with a directory,
 * and killed by the test that runs it.
 */
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Training from "./training.ts"

const directory = process.argv[2]!

Effect.gen(function* () {
  const model = yield* Training.begin
  for (let step = 0; step < Training.kept; step++) yield* Training.step(model, step)
  const { path } = yield* yield* model.saveState("kept")
  process.stdout.write(`kept ${path}\n`)
  for (let step = Training.kept; ; step++) {
    yield* Training.step(model, step)
    // saved under one name each, so that the kill may come in the middle of a save
    yield* yield* model.saveState(`after-${step}`)
    process.stdout.write(`step ${step}\n`)
  }
}).pipe(
  Effect.scoped,
  Effect.provide(Training.layer(directory)),
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain
)
