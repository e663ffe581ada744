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
import { customLoss } from "../src/internal/preferences/losses.ts"
import * as LearningRate from "../src/LearningRate.ts"
import * as Metrics from "../src/Metrics.ts"
import * as Preference from "../src/Preference.ts"
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
