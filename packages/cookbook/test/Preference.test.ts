import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Batches from "../src/Batches.ts"
import * as Comparison from "../src/Comparison.ts"
import * as Env from "../src/Env.ts"
import { customLoss } from "../src/internal/preferences/losses.ts"
import * as LearningRate from "../src/LearningRate.ts"
import * as Metrics from "../src/Metrics.ts"
import * as Preference from "../src/Preference.ts"
import * as Rl from "../src/Rl.ts"
import type * as Trajectory from "../src/Trajectory.ts"
import * as runs from "./utils/runs.ts"

const pairs = Array.from({ length: 8 }, (_, i) => Preference.pair([10 + i], { chosen: [1, 2], rejected: [3, 4, 5] }))

const options: Preference.Options = {
  model: { base_model: TestEngine.baseModel, rank: 4, seed: 1 },
  pairs: Batches.make(pairs, { size: 4, seed: 0 }),
  steps: 6,
  learningRate: LearningRate.constant(0.1),
  checkpoints: { final: false }
}

describe("Preference", () => {
  it.scoped("begins at ln 2, and learns to prefer what is chosen", () =>
    Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      const reference = yield* service.createSamplingClient({ base_model: TestEngine.baseModel })
      const { evaluated, rows } = yield* Preference.run({
        ...options,
        evaluations: [Preference.heldOut(pairs, { reference, every: 10 })]
      })
      assert.closeTo(rows[0]!["train_loss"] as number, Math.LN2, 1e-6)
      assert.deepInclude(rows[0]!, { accuracy: 0, margin: 0, num_pairs: 4, "test/accuracy": 0 })
      assert.strictEqual(evaluated["test/accuracy"], 1)
      assert.isBelow(rows[5]!["train_loss"] as number, 0.6)
      assert.isAbove(rows[5]!["chosen_reward"] as number, rows[5]!["rejected_reward"] as number)
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped(
    "keeps chosen answers likely with a share of their own loss, and needs the reference of other weights",
    () =>
      Effect.gen(function* () {
        const learned = yield* Preference.run({ ...options, nll: 1 })
        const plain = yield* Preference.run(options)
        const last = ({ rows }: { readonly rows: ReadonlyArray<{ readonly [name: string]: unknown }> }) =>
          rows[5]!["chosen_reward"] as number
        assert.isAbove(last(learned), last(plain))
        const model = { ...options.model, weights: "tinker://run/weights/warm" }
        const error = yield* Effect.flip(Preference.run({ ...options, model }))
        assert.include(String(error), "reference is missing")
      }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("submits the forward pass of a step before the update of the step before it has run", () =>
    Effect.gen(function* () {
      const sent = yield* Deferred.make<void>()
      let updates = 0
      const server = yield* TestServer.make({
        // would wait forever if the next step were submitted behind the result of this one
        engine: { before: ({ name }) => (name === "optimStep" ? Deferred.await(sent) : Effect.void) }
      })
      const client = HttpClient.tapRequest(server.client, ({ url }) =>
        Effect.suspend(() => {
          if (url.endsWith("/optim_step")) updates++
          return updates === 1 && /\/forward(_backward)?$/.test(url) ? Deferred.succeed(sent, undefined) : Effect.void
        })
      )
      const { steps } = yield* Preference.run({ ...options, steps: 2 }).pipe(
        Effect.provide(Layer.mergeAll(runs.client, Metrics.layerSilent, NodeContext.layer)),
        Effect.provide(Layer.succeed(HttpClient.HttpClient, client))
      )
      assert.deepStrictEqual([steps, updates], [2, 2])
    })
  )

  it("has the derivatives of its losses, by finite differences", () => {
    const data = [pairs[0]!.chosen, pairs[0]!.rejected, pairs[1]!.chosen, pairs[1]!.rejected]
    const lengths = data.map(({ loss_fn_inputs }) => loss_fn_inputs.target_tokens.data.length)
    const logprobs = lengths.map((length, i) => Float64Array.from({ length }, (_, at) => -1 - 0.3 * i - 0.7 * at))
    const references = [-2, -6, -4, -5]
    const losses = [Preference.dpo({ beta: 0.3 }), Preference.ipo({ beta: 0.4 }), Preference.hinge({ beta: 0.2 })]
    for (const loss of losses) {
      const at = (values: ReadonlyArray<Float64Array>) =>
        customLoss(
          loss,
          0.1,
          references
        )(
          data,
          values.map((data) => ({ data: data as unknown as Float32Array, shape: [data.length] }))
        )
      const { gradients } = at(logprobs)
      for (const [i, row] of logprobs.entries()) {
        for (const position of row.keys()) {
          const moved = (by: number) =>
            at(logprobs.map((r, j) => (i === j ? r.map((x, k) => (k === position ? x + by : x)) : r))).loss
          const numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5
          assert.closeTo(gradients[i]![position]!, numeric, 1e-6, `${loss.name} ${i} ${position}`)
        }
      }
    }
  })
})

describe("Comparison", () => {
  const encode = (text: string) => Array.from(text, (char) => char.charCodeAt(0))
  const form = Comparison.textForm(encode)

  /** A model that prefers the shorter answer, and a little the place A: its logprobs of the verdicts are of the last token. */
  const client = {
    computeLogprobs: (input: ModelInput.ModelInput) =>
      Effect.sync(() => {
        const text = String.fromCharCode(...ModelInput.toTokens(input))
        const [, first = "", second = "", verdict = ""] =
          /A:\n(.*)\n\nB:\n(.*)\n\nThe better.*: (\w+)$/.exec(text) ?? []
        const odds = { A: second.length + 1, B: first.length, Tie: 1 }[verdict] ?? Number.NaN
        const logprobs = new Float32Array(text.length)
        logprobs[text.length - verdict.length] = Math.log(odds)
        return logprobs
      })
  }

  const answered = (answer: string): Trajectory.Trajectory => ({
    turns: [],
    stop: "completed",
    reward: 0,
    logs: { answer }
  })
  const answerOf = ({ logs }: Trajectory.Trajectory) => ({ prompt: "say it", answer: logs!["answer"]! })

  it.effect("asks a model in both orders, so that a place is no advantage", () =>
    Effect.gen(function* () {
      const comparison = { prompt: "say it", first: "aaaa", second: "bb" }
      // odds of 3, 4 and 1, and with the answers in the other order of 5, 2 and 1
      const given = yield* Comparison.judge({ client, form, order: "given" })(comparison)
      assert.closeTo(given, (4 - 3) / 8, 1e-6)
      assert.closeTo(yield* Comparison.judge({ client, form })(comparison), ((4 - 3) / 8 - (2 - 5) / 8) / 2, 1e-6)
      const equal = { ...comparison, second: "bbbb" }
      assert.strictEqual(yield* Comparison.judge({ client, form })(equal), 0)
    })
  )

  it("teaches both orders of a comparison", () => {
    const labelled = { prompt: "p", first: "x", second: "y", better: "first" } as const
    const examples = Comparison.bothOrders(labelled).map((one) => Comparison.toExample(one, form))
    const texts = examples.map(({ loss_fn_inputs }) => {
      const tokens = TensorData.toNumbers(loss_fn_inputs.target_tokens)
      const weights = TensorData.toNumbers(loss_fn_inputs.weights)
      return String.fromCharCode(...tokens.filter((_, i) => weights[i]! > 0))
    })
    assert.deepStrictEqual(texts, [" A", " B"])
  })

  it.effect("rewards each answer of a group by its matches, which sum to nothing", () =>
    Effect.gen(function* () {
      const met: Array<string> = []
      const shorter: Comparison.Judge = ({ first, second }) =>
        Effect.sync(() => (met.push(`${first}/${second}`), Math.sign(first.length - second.length)))
      const group = ["aa", "b", "ccc", "dd"].map(answered)
      assert.deepStrictEqual(yield* Comparison.rewards(shorter, { answerOf })(group), [0, 1, -1, 0])
      assert.lengthOf(met.splice(0), 6)
      const ring = yield* Comparison.rewards(shorter, { answerOf, opponents: 2 })(group)
      assert.lengthOf(met, 4)
      assert.deepStrictEqual(ring, [-0.5, 1, -1, 0.5])
      assert.deepStrictEqual(yield* Comparison.rewards(shorter, { answerOf })(group.slice(0, 1)), [0])
      const error = yield* Effect.flip(Comparison.rewards(() => Effect.succeed(Number.NaN), { answerOf })(group))
      assert.strictEqual(error.message, "a judge returned NaN: give a number from -1 to 1")
    })
  )

  it.effect("trains on what a judge prefers", () =>
    Effect.gen(function* () {
      // the second of two answers of one token wins if its token is smaller
      const judge: Comparison.Judge = ({ first, second }) => Effect.succeed(Math.sign(Number(first) - Number(second)))
      const group: Env.EnvGroup<Env.GraderTimeout | Comparison.InvalidJudgement> = {
        ...Env.problem({
          prompt: [65],
          stop: "\n",
          size: 64,
          decode: (tokens) => String(tokens[0]),
          formPenalty: 0,
          grade: () => 0
        }),
        rewards: Comparison.rewards(judge, {
          opponents: 8,
          answerOf: ({ turns }) => ({ prompt: "", answer: String(turns[0]!.action.tokens[0]) })
        })
      }
      const sizes: Array<number> = []
      yield* Rl.run({
        model: options.model,
        groups: {
          at: () =>
            Effect.succeed([
              {
                ...group,
                rewards: (all) => {
                  sizes.push(all.reduce((sum, { turns }) => sum + turns[0]!.action.tokens[0]!, 0) / all.length)
                  return group.rewards!(all)
                }
              }
            ])
        },
        steps: 10,
        learningRate: LearningRate.constant(0.3),
        rollouts: { sampling: { max_tokens: 1 } },
        checkpoints: { final: false }
      })
      const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length
      assert.isBelow(mean(sizes.slice(-3)), mean(sizes.slice(0, 3)) - 15)
    }).pipe(Effect.scoped, Effect.provide(runs.layer))
  )
})
