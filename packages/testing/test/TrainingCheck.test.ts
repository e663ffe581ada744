import * as Datum from "@effect-tinker/api/Datum"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import { assert, describe, it } from "@effect/vitest"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { Effect, Fiber, Redacted } from "effect"
import * as TestEngine from "../src/TestEngine.ts"
import * as TrainingCheck from "../src/TrainingCheck.ts"

const ClientLive = ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: "http://service.test" })

const batch = [Datum.fromPromptCompletion([1, 2, 3], [4, 5])]

interface Faults {
  /** forgets the optimizer when it resumes */
  readonly forgets?: boolean
  /** leaves a fiber behind */
  readonly leaks?: boolean
  readonly steps?: number
}

/** A loop that saves its state behind every step, and resumes from the last one that it has noted. */
const makeTrain = ({ forgets = false, leaks = false, steps = 6 }: Faults = {}) => {
  const notes = new Map<string, { path: string; losses: ReadonlyArray<number> }>()
  return (directory: string) =>
    Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      if (leaks) yield* Effect.forkDaemon(Effect.async<never>(() => undefined))
      const noted = notes.get(directory)
      const training = yield* noted === undefined
        ? service.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 8, seed: 0 })
        : forgets
          ? service.createTrainingClientFromState(noted.path)
          : service.createTrainingClientFromStateWithOptimizer(noted.path)
      const losses = [...(noted?.losses ?? [])]
      while (losses.length < steps) {
        const forward = yield* training.forwardBackward(batch, "cross_entropy")
        yield* training.optimStep({ learning_rate: 0.1 })
        losses.push((yield* Fiber.join(forward)).metrics["loss:sum"]!)
        const { path } = yield* Fiber.join(yield* training.saveState(`step-${losses.length}`))
        notes.set(directory, { path, losses: [...losses] })
      }
      return losses
    }).pipe(Effect.scoped, Effect.provide(ClientLive))
}

describe("TrainingCheck", () => {
  it.live("sees a program that learns, resumes exactly and leaves nothing", () =>
    Effect.gen(function* () {
      const report = yield* TrainingCheck.run(makeTrain())
      assert.isBelow(report.losses.at(-1)!, report.losses[0]!)
      assert.deepStrictEqual(report.resumed, report.losses)
      assert.strictEqual(report.interruptedAfter, 3)
      assert.deepStrictEqual(report.left, [])
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.live("sees a program that forgets its optimizer, and one that leaves a fiber", () =>
    Effect.gen(function* () {
      const forgetful = yield* TrainingCheck.run(makeTrain({ forgets: true }))
      assert.lengthOf(forgetful.resumed, forgetful.losses.length)
      assert.notDeepEqual(forgetful.resumed, forgetful.losses)
      const leaking = yield* TrainingCheck.run(makeTrain({ leaks: true }))
      // one of each part
      assert.lengthOf(leaking.left, 3)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.live("says that a program is too short to be interrupted", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(TrainingCheck.run(makeTrain({ steps: 1 })))
      assert.strictEqual(error._tag, "NotInterrupted")
      assert.include(error.message, "sends 1 optimizer steps")
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
