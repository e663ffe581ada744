import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Env from "../../src/Env.ts"
import * as LearningRate from "../../src/LearningRate.ts"
import * as Metrics from "../../src/Metrics.ts"
import * as Rl from "../../src/Rl.ts"
import * as tinyRl from "../utils/tinyRl.ts"
import * as tiny from "../utils/tinyRun.ts"

const steps = 4

/** A run in a process and a service of its own, until the step at which it dies. */
const run = (path: string, checkpoints: string, diesAt?: number) =>
  Effect.gen(function* () {
    const { rows, sampling } = yield* Rl.run<string | Env.GraderTimeout>({
      model: { base_model: "test/tiny", rank: 4, seed: 3 },
      groups: {
        fingerprint: "tiny",
        at: (step) =>
          step === diesAt ? Effect.fail("killed") : Effect.succeed([0, 1, 2].map((i) => tinyRl.groupOf(step, i)))
      },
      steps,
      learningRate: LearningRate.constant(1e-2),
      rollouts: { sampling: { max_tokens: 6 } },
      checkpoints: { every: 2 },
      directory: { path, resume: true },
      seed: 9
    })
    const { sequences } = yield* sampling.sample(ModelInput.fromTokens([1, 2, 3]), {
      sampling_params: { max_tokens: 8, seed: 1 }
    })
    // times differ, all else is equal to the bit
    const kept = rows.map((row) =>
      Object.fromEntries(Object.entries(row).filter(([name]) => name !== "writer" && !name.startsWith("time/")))
    )
    return { kept, tokens: Array.from(sequences[0]!.tokens), logprobs: Array.from(sequences[0]!.logprobs!) }
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(Metrics.layerSilent, Embedded.layerServiceClient({ ...tiny.engine, checkpoints })))
  )

describe("a synchronous run of reinforcement learning on the embedded engine", () => {
  it.scopedLive(
    "has the bits of one that was not killed when it resumes, with a new service",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = fs.makeTempDirectoryScoped()
        const whole = yield* run(yield* directory, yield* directory)
        const [path, checkpoints] = [yield* directory, yield* directory]
        assert.strictEqual(yield* Effect.flip(run(path, checkpoints, 3)), "killed")
        const resumed = yield* run(path, checkpoints)
        assert.lengthOf(whole.kept, steps)
        assert.deepStrictEqual(resumed, whole)
      }).pipe(Effect.provide(NodeContext.layer)),
    60_000
  )
})
