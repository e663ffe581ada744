/** A run of a tiny model, in which a step that is repeated or left out changes every loss behind it. */
import * as Datum from "@effect-tinker/api/Datum"
import type * as Embedded from "@effect-tinker/embedded/Embedded"
import type * as Effect from "effect/Effect"
import { fileURLToPath } from "node:url"
import * as Batches from "../../src/Batches.ts"
import * as LearningRate from "../../src/LearningRate.ts"
import * as Supervised from "../../src/Supervised.ts"

const base_model = "test/tiny"
const directory = fileURLToPath(new URL("../../../engine/test/fixtures/tiny-qwen3", import.meta.url))

export const engine: Embedded.EngineOptions = {
  models: [{ name: base_model, directory }],
  threads: 1,
  deterministic: true
}

const examples = Array.from({ length: 12 }, (_, i) => {
  const tokens = Array.from({ length: 12 }, (_, at) => (at * 29 + i * 7) % 259)
  return Datum.fromPromptCompletion(tokens.slice(0, 4), tokens.slice(4))
})

/** A run of so many steps, recorded in a directory. It resumes if it can. */
export const run = (path: string, steps: number, stop?: Effect.Effect<unknown>) =>
  Supervised.run({
    model: { base_model, rank: 4, seed: 3 },
    batches: { ...Batches.make(examples, { size: 2, seed: 5 }), fingerprint: "tiny" },
    steps,
    learningRate: LearningRate.constant(1e-2),
    adam: { weight_decay: 0.1 },
    evaluations: [Supervised.heldOut(examples.slice(0, 2), { every: 7 })],
    checkpoints: { every: 4, rolling: { every: 1 } },
    directory: { path, resume: true },
    threads: 1,
    stop
  })
