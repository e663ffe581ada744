/** A run of reinforcement learning of a tiny model, in which any other sample changes every row behind it. */
import * as Effect from "effect/Effect"
import * as Env from "../../src/Env.ts"
import * as LearningRate from "../../src/LearningRate.ts"
import * as Rl from "../../src/Rl.ts"

/** Groups of a step. */
export const perStep = 3

/** Answers of many tokens, so that each rewards and trains something else. */
export const groupOf = (step: number, i: number) =>
  Env.problem({
    prompt: [10 + i, (20 + step) % 259, 30],
    stop: "\n",
    size: 4,
    decode: (tokens) => Array.from(tokens).join(" "),
    formPenalty: 0,
    grade: ({ tokens }) => tokens.reduce((sum, token) => sum + (token % 7), 0) / 40,
    tags: [`g${step}.${i}`]
  })

/** A run of so many steps, recorded in a directory. It resumes if it can. */
export const run = (path: string, steps: number, loop: Rl.Mode = { mode: "synchronous" }) =>
  Rl.run({
    model: { base_model: "test/tiny", rank: 4, seed: 3 },
    groups: {
      fingerprint: "tiny",
      at: (step) => Effect.succeed(Array.from({ length: perStep }, (_, i) => groupOf(step, i)))
    },
    steps,
    learningRate: LearningRate.constant(1e-2),
    rollouts: { sampling: { max_tokens: 6 } },
    constantGroups: "keep",
    kl: { coefficient: 0.05, discount: 0.5 },
    loop,
    checkpoints: { every: 4, rolling: { every: 2 } },
    directory: { path, resume: true },
    threads: 1,
    seed: 9
  })
