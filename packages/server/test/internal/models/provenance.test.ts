import type * as Engine from "@effect-tinker/server/Engine"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as client from "../../utils/client.ts"

const { createModel, createSession, ok, post, result } = client

const prompt = [1, 2, 3]

const chunks = (tokens: ReadonlyArray<number>) => ({ chunks: [{ type: "encoded_text", tokens }] })

interface Sampled {
  readonly id: string
  readonly tokens: ReadonlyArray<number>
  readonly logprobs: ReadonlyArray<number>
}

const createSampler = (session_id: string) =>
  Effect.map(
    ok(
      post("/create_sampling_session", {
        session_id,
        sampling_session_seq_id: 0,
        base_model: TestEngine.baseModel
      })
    ),
    ({ sampling_session_id }) => sampling_session_id as string
  )

const sample = (sampling_session_id: string, seq_id: number, record_stability_info: boolean, tokens = prompt) =>
  Effect.gen(function* () {
    const receipt = yield* ok(
      post("/asample", {
        sampling_session_id,
        seq_id,
        num_samples: 2,
        prompt: chunks(tokens),
        sampling_params: { max_tokens: 4, seed: 3 },
        record_stability_info
      })
    )
    const { sequences } = yield* result(receipt.request_id)
    return (receipt.sample_sequence_ids as ReadonlyArray<string>).map(
      (id, i): Sampled => ({ id, tokens: sequences[i].tokens, logprobs: sequences[i].logprobs })
    )
  })

const span = (type: "prompt" | "sampled", { id }: Sampled, offset: number, length: number) => ({
  type,
  sequence_id: id,
  offset,
  length
})

/** The datum that programs make of a sample: the targets in the prompt are 0, as in the cookbook. */
const datumOf = (sampled: Sampled, advantage = 1) => {
  const { tokens } = sampled
  const targets = [0, 0, ...tokens]
  const zeros = [0, 0, ...tokens.map(() => 0)]
  return {
    model_input: chunks([...prompt, ...tokens.slice(0, -1)]),
    loss_fn_inputs: {
      target_tokens: { dtype: "int64", data: targets, shape: [targets.length] },
      // not what was recorded: the service has it
      logprobs: { dtype: "float32", data: zeros, shape: [targets.length] },
      advantages: { dtype: "float32", data: [0, 0, ...tokens.map(() => advantage)], shape: [targets.length] }
    },
    model_input_spans: [span("prompt", sampled, 0, 3), span("sampled", sampled, 0, tokens.length - 1)],
    loss_fn_input_spans: [span("prompt", sampled, 1, 2), span("sampled", sampled, 0, tokens.length)]
  }
}

const pass = (model_id: string, seq_id: number, data: ReadonlyArray<unknown>, loss_fn_config?: object) =>
  post("/forward_backward", {
    model_id,
    seq_id,
    forward_backward_input: { data, loss_fn: "stable_reinforce", ...(loss_fn_config ? { loss_fn_config } : {}) }
  })

const setup = Effect.gen(function* () {
  const session_id = yield* createSession
  return { session_id, model_id: yield* createModel(session_id), sampler: yield* createSampler(session_id) }
})

describe("the data of stable_reinforce", () => {
  it.scoped("get what was recorded of their samples by their spans, over several turns too", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { model_id, sampler } = yield* setup
        const [first, second] = yield* sample(sampler, 0, true)
        const more = [...prompt, ...first!.tokens, 7]
        const [next] = yield* sample(sampler, 1, true, more)
        const turns = {
          model_input: chunks([...more, ...next!.tokens.slice(0, -1)]),
          loss_fn_inputs: Object.fromEntries(
            [
              ["target_tokens", "int64", [...more.slice(1), ...next!.tokens]],
              ["advantages", "float32", [0, 0, 2, 2, 2, 2, 0, -1, -1, -1, -1]]
            ].map(([name, dtype, data]) => [name, { dtype, data }])
          ),
          model_input_spans: [
            span("prompt", first!, 0, 3),
            span("sampled", first!, 0, 4),
            span("prompt", next!, 7, 1),
            span("sampled", next!, 0, 3)
          ],
          loss_fn_input_spans: [
            span("prompt", first!, 1, 2),
            span("sampled", first!, 0, 4),
            span("prompt", next!, 7, 1),
            span("sampled", next!, 0, 4)
          ]
        }
        const data = [datumOf(second!, -1), turns]
        const output = yield* result((yield* ok(pass(model_id, 1, data, { kl_coeff: 0.5 }))).request_id)
        const passes = (yield* engine.operations).filter(({ name }) => name === "forwardBackward")
        const resolved = (passes[0]!.input as Engine.PassOptions).data.map(({ loss_fn_inputs }) => [
          Array.from(loss_fn_inputs["logprobs"]!.data, Number),
          Array.from(loss_fn_inputs["sampled_mask"]!.data, Number)
        ])
        assert.deepStrictEqual(resolved, [
          [
            [0, 0, ...second!.logprobs],
            [0, 0, 1, 1, 1, 1]
          ],
          [
            [0, 0, ...first!.logprobs, 0, ...next!.logprobs],
            [0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1]
          ]
        ])
        // the weights are those of the samples, so that ratios are 1 and the squared log-ratios 0
        const sum = (values: ReadonlyArray<number>) => values.reduce((total, value) => total + value, 0)
        const expected = sum(second!.logprobs) - 2 * sum(first!.logprobs) + sum(next!.logprobs)
        assert.approximately(output.metrics["loss:sum"], expected, 1e-3)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("are rejected when they arrive, if they do not fit what was recorded", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { model_id, sampler } = yield* setup
        const [recorded] = yield* sample(sampler, 0, true)
        const [unrecorded] = yield* sample(sampler, 1, false)
        const other = yield* setup
        const [foreign] = yield* sample(other.sampler, 0, true)
        const good = datumOf(recorded!)
        const { loss_fn_input_spans, loss_fn_inputs, model_input_spans } = good
        const withTarget = (index: number, token: number) => {
          const data = loss_fn_inputs.target_tokens.data.map((value, i) => (i === index ? token : value))
          return { ...good, loss_fn_inputs: { ...loss_fn_inputs, target_tokens: { ...loss_fn_inputs.target_tokens, data } } }
        }
        const { model_input_spans: _, loss_fn_input_spans: __, ...bare } = good
        const { advantages, ...withoutAdvantages } = loss_fn_inputs
        const cases: ReadonlyArray<readonly [unknown, string]> = [
          [bare, "data[1].loss_fn_input_spans is missing"],
          [{ ...good, loss_fn_inputs: withoutAdvantages }, "data[1].loss_fn_inputs.advantages is missing"],
          [datumOf(unrecorded!), `model_input_spans[0] names the sequence ${unrecorded!.id}, which is not recorded`],
          [datumOf(foreign!), `model_input_spans[0] names the sequence ${foreign!.id}, which is not recorded`],
          [withTarget(3, 99), `loss_fn_inputs.target_tokens[3] is not the token of ${recorded!.id}`],
          [{ ...good, model_input: chunks([1, 2, 4, ...recorded!.tokens.slice(0, -1)]) }, "model_input: token 2 is not that of"],
          [
            { ...good, model_input_spans: [span("prompt", recorded!, 1, 3), model_input_spans[1]] },
            `model_input_spans[0] ends at position 4, but the prompt of ${recorded!.id} has 3 tokens`
          ],
          [
            { ...good, loss_fn_input_spans: [loss_fn_input_spans[0], span("sampled", recorded!, 1, 4)] },
            `loss_fn_input_spans[1] ends at position 5, but ${recorded!.id} has 4 tokens`
          ],
          [
            {
              ...good,
              loss_fn_inputs: { ...loss_fn_inputs, advantages: { ...advantages, data: [0, 1, ...advantages.data.slice(2)] } }
            },
            "loss_fn_inputs.advantages[1] is 1, but it must be 0: the token was not sampled"
          ],
          [
            {
              model_input: chunks(prompt.slice(0, 2)),
              loss_fn_inputs: {
                target_tokens: { dtype: "int64", data: [2, 3] },
                advantages: { dtype: "float32", data: [0, 0] }
              },
              model_input_spans: [span("prompt", recorded!, 0, 2)],
              loss_fn_input_spans: [span("prompt", recorded!, 1, 2)]
            },
            "loss_fn_input_spans name no sampled token"
          ]
        ]
        for (const [i, [datum, reason]] of cases.entries()) {
          const { body, status } = yield* pass(model_id, i + 1, [good, datum])
          assert.strictEqual(status, 400, reason)
          assert.include(body.detail, reason)
        }
        const text = yield* pass(model_id, cases.length + 1, [good], { kl_coeff: "0.1" })
        assert.strictEqual(text.status, 400)
        assert.include(text.body.detail, 'loss_fn_config.kl_coeff is "0.1", but it must be a number')
        // a rejected one uses up its number, and the model goes on
        yield* result((yield* ok(pass(model_id, cases.length + 2, [good]))).request_id)
        const passes = (yield* engine.operations).filter(({ name }) => name === "forwardBackward")
        assert.strictEqual(passes.length, 1)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("find samples for a day, which each use starts again, and never those of an ended session", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ sessionTimeout: "100 days" })
      yield* Effect.gen(function* () {
        const { model_id, sampler } = yield* setup
        const [first, second] = yield* sample(sampler, 0, true)
        for (const seq_id of [1, 2, 3]) {
          yield* TestClock.adjust("20 hours")
          yield* ok(pass(model_id, seq_id, [datumOf(first!)]))
        }
        const { body, status } = yield* pass(model_id, 4, [datumOf(second!)])
        assert.strictEqual(status, 400)
        assert.include(body.detail, `names the sequence ${second!.id}, which is not recorded`)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("need samples of a sampling session", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      const request = {
        prompt: chunks(prompt),
        sampling_params: { max_tokens: 1 },
        base_model: TestEngine.baseModel,
        record_stability_info: true
      }
      yield* Effect.gen(function* () {
        const { body, status } = yield* post("/asample", request)
        assert.strictEqual(status, 400)
        assert.include(body.detail, "record_stability_info needs a sampling_session_id")
      }).pipe(Effect.provide(layer))
    })
  )
})
