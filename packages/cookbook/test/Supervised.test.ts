import type * as Training from "@effect-tinker/api/Training"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TinkerFuture from "@effect-tinker/client/TinkerFuture"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as TestClock from "effect/TestClock"
import * as LearningRate from "../src/LearningRate.ts"
import * as Metrics from "../src/Metrics.ts"
import type * as Nll from "../src/Nll.ts"
import * as Supervised from "../src/Supervised.ts"
import { withWarnings } from "@effect-tinker/testing/Logs"
import * as runs from "./utils/runs.ts"

const { heldOut, lossesOf, options } = runs
const prices = { train: 100, sample: 1, prefill: 1, cached_prefill: 1 }

describe("a supervised run", () => {
  it.scoped("reduces the loss, measures before the step and at the end, and names what it measured", () =>
    Effect.gen(function* () {
      const { checkpoint, evaluated, reason, rows, steps } = yield* Supervised.run({
        ...options,
        evaluations: [Supervised.heldOut(heldOut, { every: 3 })],
        gradientNorm: true,
        prices
      })
      assert.deepStrictEqual([steps, reason, checkpoint?.batch, checkpoint?.final], [6, "steps", 6, true])
      assert.match(checkpoint!.sampler_path!, /\/sampler_weights\/final$/)
      assert.deepStrictEqual(
        rows.filter((row) => "test/nll" in row).map(({ step }) => step),
        [0, 3, 6]
      )
      assert.isBelow(evaluated["test/nll"]!, rows[0]!["test/nll"] as number)
      const { "time/total": _, ...row } = rows[1]!
      assert.deepInclude(row, {
        step: 1,
        epoch: 0,
        progress: 2 / 6,
        learning_rate: 0.2 * (1 - 1 / 6),
        num_sequences: 4,
        num_tokens: 12,
        num_loss_tokens: 8,
        "tokens/trained": 12,
        "tokens/cumulative/trained": 24,
        "cost/step_usd": 0.0012,
        "cost/cumulative_usd": 0.0024
      })
      assert.isAbove(row["grad_norm"] as number, 0)
      assert.containsAllKeys(rows[1]!, ["time/forward_backward", "time/optim_step", "time/get_batch", "time/total"])
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("measures the weights before the step, also when it submits ahead", () =>
    Effect.gen(function* () {
      const measure = (ahead: number) =>
        Effect.map(
          Supervised.run({ ...options, ahead, evaluations: [Supervised.heldOut(heldOut, { every: 1 })] }),
          ({ rows }) => rows.map((row) => row["test/nll"])
        )
      const inOrder = yield* measure(0)
      assert.strictEqual(new Set(inOrder).size, 7)
      assert.deepStrictEqual(yield* measure(3), inOrder)
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("submits exactly `ahead` steps before it awaits one", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const order: Array<string> = []
      const batches = {
        at: (step: number) => Effect.tap(options.batches.at(step), () => Effect.sync(() => order.push(`batch ${step}`)))
      }
      const sink: Metrics.Sink = ({ step }) => Effect.sync(() => void order.push(`row ${step}`))
      yield* Supervised.run({ ...options, batches, steps: 4, ahead: 2 }).pipe(
        Effect.provide(Layer.mergeAll(runs.client, Metrics.layer([Effect.succeed(sink)]), NodeContext.layer)),
        Effect.provide(server.layer)
      )
      assert.deepStrictEqual(order, ["batch 0", "batch 1", "batch 2", "row 0", "batch 3", "row 1", "row 2", "row 3"])
    })
  )

  it.scoped("refuses what it cannot run by the name of the option, and an empty batch by its step", () =>
    Effect.gen(function* () {
      const refused = (changed: Partial<Supervised.Options>) =>
        Effect.flip(Supervised.run({ ...options, ...changed })).pipe(
          Effect.map((error) => (error instanceof Supervised.InvalidRun ? error.path : error))
        )
      assert.strictEqual(yield* refused({ steps: 0 }), "steps")
      assert.strictEqual(yield* refused({ ahead: -1 }), "ahead")
      assert.strictEqual(yield* refused({ learningRate: LearningRate.constant(Number.NaN) }), "learningRate.peak")
      assert.strictEqual(yield* refused({ checkpoints: { every: 0 } }), "checkpoints.every")
      assert.strictEqual(yield* refused({ budget: { usd: 1 } }), "budget.usd")
      assert.strictEqual(yield* refused({ batches: { at: () => Effect.succeed([]) } }), "batches.at(0)")
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("stops before the step that would exceed a budget, and saves what it has", () =>
    Effect.gen(function* () {
      // a step has 12 tokens, and costs 0.0012 dollars
      for (const [budget, steps] of [
        [{ tokens: 40 }, 3],
        [{ usd: 0.0024 }, 2]
      ] as const) {
        const result = yield* Supervised.run({ ...options, prices, budget })
        assert.strictEqual(result.steps, steps)
        assert.strictEqual(result.reason, Object.keys(budget)[0])
        assert.deepStrictEqual([result.checkpoint!.batch, result.checkpoint!.final], [steps, true])
      }
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("stops when its time is over", () =>
    Effect.gen(function* () {
      const batches = { at: (step: number) => Effect.delay(options.batches.at(step), "10 seconds") }
      const fiber = yield* Effect.fork(Supervised.run({ ...options, batches, steps: 1000, budget: { seconds: 35 } }))
      yield* TestClock.adjust("10 minutes")
      const { reason, steps } = yield* Fiber.join(fiber)
      assert.deepStrictEqual([reason, steps], ["seconds", 3])
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("stops when an evaluation has not improved for so long", () =>
    Effect.gen(function* () {
      const values = [3, 2, 2.5, 2.4, 1]
      const evaluation: Supervised.Evaluation = {
        every: 1,
        submit: ({ step }) => Effect.succeed(Effect.succeed({ "test/score": values[step] ?? 9 }))
      }
      const { reason, steps } = yield* Supervised.run({
        ...options,
        ahead: 0,
        evaluations: [evaluation],
        earlyStop: { metric: "test/score", patience: 2 }
      })
      // the second value without improvement is measured before the fourth step
      assert.deepStrictEqual([reason, steps], ["early", 4])
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("gives each step random numbers of its own, whatever ran before", () =>
    Effect.gen(function* () {
      const drawn: Array<readonly [step: number, number: number]> = []
      const batches: Supervised.Source = {
        at: (step) =>
          Effect.andThen(
            Effect.map(Random.next, (number) => void drawn.push([step, number])),
            options.batches.at(step)
          )
      }
      yield* Supervised.run({ ...options, batches })
      const whole = drawn.splice(0)
      assert.strictEqual(new Set(whole.map(([, number]) => number)).size, 6)
      yield* Supervised.run({ ...options, batches, steps: 3 })
      assert.deepStrictEqual(drawn, whole.slice(0, 3))
    }).pipe(Effect.provide(runs.layer))
  )
})

describe("a supervised run with a directory", () => {
  const inDirectory = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

  it.scoped("saves behind the step, stops by request, and ends as if it had never stopped", () =>
    Effect.gen(function* () {
      const path = yield* inDirectory
      const evaluations = [Supervised.heldOut(heldOut, { every: 2 })]
      const whole = yield* Supervised.run({ ...options, evaluations })
      const stop = yield* Deferred.make<void>()
      const batches: Supervised.Source = {
        fingerprint: options.batches.fingerprint,
        at: (step) =>
          Effect.tap(options.batches.at(step), () => (step === 3 ? Deferred.succeed(stop, undefined) : Effect.void))
      }
      const checkpoints = { every: 2 }
      const first = yield* Supervised.run({
        ...options,
        batches,
        evaluations,
        checkpoints,
        stop: Deferred.await(stop),
        directory: { path }
      })
      assert.strictEqual(first.reason, "request")
      assert.isAtMost(first.steps, 5)
      const records = yield* runs.jsonLines(`${path}/checkpoints.jsonl`)
      assert.deepStrictEqual(records.map(({ batch, name, writer }) => [batch, name, writer]).at(0), [
        2,
        "000002",
        "effect-tinker"
      ])
      assert.strictEqual(records.at(-1).batch, first.steps)
      const rest = yield* Supervised.run({ ...options, evaluations, checkpoints, directory: { path, resume: true } })
      assert.strictEqual(rest.from, first.steps)
      assert.deepStrictEqual(lossesOf(rest), lossesOf(whole))
      assert.deepStrictEqual(rest.evaluated, whole.evaluated)
      assert.deepStrictEqual(
        (yield* runs.jsonLines(`${path}/metrics.jsonl`)).map(({ step }) => step),
        [0, 1, 2, 3, 4, 5, 6]
      )
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("goes back to an earlier checkpoint if the service has lost the last one", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* inDirectory
      const checkpoints = { every: 2, final: false }
      const whole = yield* Supervised.run({ ...options, checkpoints, directory: { path } })
      const records = yield* runs.jsonLines(`${path}/checkpoints.jsonl`)
      const lost = { ...records.at(-1), state_path: records.at(-1).state_path.replace("000004", "gone") }
      const text = [...records.slice(0, -1), lost].map((record) => `${JSON.stringify(record)}\n`).join("")
      yield* fs.writeFileString(`${path}/checkpoints.jsonl`, text)
      const { lines, value } = yield* withWarnings(
        Supervised.run({ ...options, checkpoints, directory: { path, resume: true } })
      )
      assert.strictEqual(value.from, 2)
      assert.deepStrictEqual(lossesOf(value), lossesOf(whole))
      assert.isTrue(lines.some((line) => line.includes("resumes further back")))
      assert.deepStrictEqual(
        (yield* runs.jsonLines(`${path}/checkpoints.jsonl`)).map(({ batch }) => batch),
        [2, 4]
      )
      assert.strictEqual((yield* runs.jsonLines(`${path}/metrics.jsonl.pre_resume_000002`)).length, 6)
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("keeps what the model writes, once for each step, also when it resumes", () =>
    Effect.gen(function* () {
      const path = yield* inDirectory
      const evaluations = [
        Supervised.samples({
          prompts: [{ text: "ab", tokens: [97, 98] }],
          every: 2,
          decode: (tokens) => String.fromCharCode(...tokens),
          sampling: { max_tokens: 3 }
        })
      ]
      const checkpoints = { every: 3 }
      const run = (resume: boolean) =>
        Supervised.run({ ...options, evaluations, checkpoints, directory: { path, resume } })
      yield* run(false)
      const written = yield* runs.jsonLines(`${path}/samples.jsonl`)
      assert.deepStrictEqual(
        written.map(({ prompt, step, text }) => [step, prompt, text.length]),
        [0, 2, 4, 6].map((step) => [step, "ab", 3])
      )
      const fs = yield* FileSystem.FileSystem
      const [first] = yield* runs.jsonLines(`${path}/checkpoints.jsonl`)
      yield* fs.writeFileString(`${path}/checkpoints.jsonl`, `${JSON.stringify(first)}\n`)
      yield* run(true)
      assert.deepStrictEqual(yield* runs.jsonLines(`${path}/samples.jsonl`), written)
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("does not resume another run, and says what differs", () =>
    Effect.gen(function* () {
      const path = yield* inDirectory
      const batches = { ...options.batches, fingerprint: "a1" }
      const run = (changed: Partial<Supervised.Options>) =>
        Supervised.run({ ...options, batches, renderer: "qwen3", threads: 1, ...changed })
      yield* run({ directory: { path } })
      assert.strictEqual((yield* Effect.flip(run({ directory: { path } })))._tag, "RunExists")
      const refused = yield* Effect.flip(
        run({
          batches: { ...batches, fingerprint: "b2" },
          renderer: "llama3",
          learningRate: LearningRate.cosine(0.2),
          directory: { path, resume: true }
        })
      )
      assert.strictEqual(refused._tag, "RunMismatch")
      assert.include(refused.message, 'data was "a1" and is "b2"')
      assert.include(refused.message, 'renderer was "qwen3" and is "llama3"')
      assert.match(refused.message, /learning_rate was \{"kind":"linear".*and is \{"kind":"cosine"/)
      const { lines, value } = yield* withWarnings(run({ threads: 2, directory: { path, resume: true } }))
      assert.strictEqual(value.from, 6)
      assert.isTrue(lines.some((line) => line.includes("threads was 1 and is 2")))
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("replaces rolling checkpoints, and deletes those that it replaced", () =>
    Effect.gen(function* () {
      const path = yield* inDirectory
      const removed: Array<string> = []
      const rolling = { every: 1, remove: (path: string) => Effect.sync(() => removed.push(path.split("/").at(-1)!)) }
      yield* Supervised.run({ ...options, checkpoints: { every: 3, rolling }, directory: { path } })
      const records = yield* runs.jsonLines(`${path}/checkpoints.jsonl`)
      assert.deepStrictEqual(
        records.map(({ batch, final, rolling }) => [batch, rolling === true, final === true]),
        [
          [1, true, false],
          [2, true, false],
          [3, false, false],
          [4, true, false],
          [5, true, false],
          [6, false, true]
        ]
      )
      assert.deepStrictEqual(removed, ["000001", "000002", "000004", "000005"])
      assert.isUndefined(records[0].sampler_path)
    }).pipe(Effect.provide(runs.layer))
  )
})

describe("a loss that the service does not report", () => {
  const float32 = (values: ReadonlyArray<number>) => ({ dtype: "float32" as const, data: Float32Array.from(values) })
  type Output = Partial<Training.ForwardBackwardOutput>

  /** The service, with passes whose outputs this makes of the batch. */
  const reporting = (output: (batch: ReadonlyArray<Nll.Example>) => Output) =>
    Layer.effect(
      ServiceClient.ServiceClient,
      Effect.map(ServiceClient.ServiceClient, (service) => ({
        ...service,
        createLoraTrainingClient: (model) =>
          Effect.gen(function* () {
            const training = yield* service.createLoraTrainingClient(model)
            const scope = yield* Effect.scope
            const changed =
              (pass: typeof training.forward): typeof training.forward =>
              (data, lossFn) =>
                Effect.flatMap(pass(data, lossFn), (future) =>
                  TinkerFuture.make({
                    method: future.method,
                    seqIds: () => future.seqIds,
                    scope,
                    run: Effect.map(Fiber.join(future), (real) => ({ ...real, metrics: {}, ...output(data as never) }))
                  })
                )
            return {
              ...training,
              forward: changed(training.forward),
              forwardBackward: changed(training.forwardBackward)
            }
          })
      }))
    )

  const runWith = (output: (batch: ReadonlyArray<Nll.Example>) => Output) =>
    withWarnings(Supervised.run({ ...options, steps: 2, evaluations: [Supervised.heldOut(heldOut)] })).pipe(
      Effect.provide(reporting(output)),
      Effect.provide(runs.layer)
    )

  it.scoped("is computed from what it does report", () =>
    Effect.gen(function* () {
      const elementwise = yield* runWith((batch) => ({
        loss_fn_outputs: batch.map(() => ({ elementwise_loss: float32([0, 0.5, 1.5]) }))
      }))
      // each example has two weighted tokens
      assert.deepStrictEqual(lossesOf(elementwise.value), [1, 1])
      assert.deepStrictEqual(elementwise.value.evaluated, { "test/nll": 1 })
      assert.deepStrictEqual(elementwise.lines, [])
      const logprobs = yield* runWith((batch) => ({
        loss_fn_outputs: batch.map(() => ({ logprobs: float32([Number.NaN, -2, -4]) })),
        // 0 is what a service may report for a pass without gradients
        metrics: { "loss:sum": 0 }
      }))
      assert.deepStrictEqual(lossesOf(logprobs.value), [3, 3])
    })
  )

  it.scoped("is null, with one warning, where it cannot be known or is not finite", () =>
    Effect.gen(function* () {
      const silent = yield* runWith((batch) => ({ loss_fn_outputs: batch.map(() => ({})) }))
      assert.deepStrictEqual(lossesOf(silent.value), [null, null])
      assert.deepStrictEqual(silent.value.evaluated, { "test/nll": null })
      assert.strictEqual(silent.lines.length, 1)
      assert.include(silent.lines[0], "reports no loss:sum, elementwise_loss or logprobs")
      const diverged = yield* runWith(() => ({ loss_fn_outputs: [], metrics: { "loss:sum": Number.NaN } }))
      assert.deepStrictEqual(lossesOf(diverged.value), [null, null])
      assert.include(diverged.lines[0], "is not a finite number")
    })
  )
})
