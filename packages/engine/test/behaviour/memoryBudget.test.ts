import * as Datum from "@effect-tinker/api/Datum"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import type * as Engine from "@effect-tinker/server/Engine"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as Store from "@effect-tinker/server/Store"
import * as TinkerServer from "@effect-tinker/server/TinkerServer"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as sampler from "../../src/internal/generation/sampler.ts"
import * as budget from "../../src/internal/model/budget.ts"
import type { LoadedModel } from "../../src/internal/model/loaded.ts"
import * as JaxEngine from "../../src/JaxEngine.ts"
import * as NodeWorkerEngine from "../../src/NodeWorkerEngine.ts"
import * as rowAdapter from "../../src/internal/lora/rowAdapter.ts"
import * as trainer from "../../src/internal/training/trainer.ts"
import * as fixtures from "../utils/fixtures.ts"
import { crossEntropy, sampleRequest, trainAll } from "../utils/requests.ts"

const datum = (length: number) =>
  Datum.forLoss("cross_entropy", {
    model_input: new Int32Array(length).fill(5),
    loss_fn_inputs: { target_tokens: new Int32Array(length).fill(6), weights: new Float32Array(length).fill(1) }
  })

/** The executor must not be used. */
const withoutExecutor = (base: LoadedModel): LoadedModel => ({
  ...base,
  executor: { ...base.executor, compile: () => Effect.dieMessage("something was computed") }
})

const train = (base: LoadedModel, data: ReadonlyArray<Datum.Datum>) =>
  Effect.gen(function* () {
    const model = yield* trainer.make(base, { rank: 4, seed: 0, ...trainAll })
    return yield* model.forwardBackward(crossEntropy(data))
  })

/** The same model with room for a request of that many values. */
const withRoom = (base: LoadedModel, values: number): LoadedModel => ({
  ...base,
  memoryBudget: budget.estimate(base, values)
})

const assertNumbers = (reason: string): void => {
  const match = /needs about ([0-9.]+) GB of memory, ([0-9.]+) GB of them for this request, .* is ([0-9.]+) GB/.exec(
    reason
  )
  assert.isNotNull(match, reason)
  assert.isAtLeast(Number(match![1]), Number(match![3]), reason)
  assert.include(reason, "memoryBudget")
}

describe("A memory budget", () => {
  it.scoped("refuses training data that would need more, with the numbers, before anything is computed", () =>
    Effect.gen(function* () {
      const base = withRoom(yield* fixtures.loadQwen(), 400_000)
      assertNumbers(yield* fixtures.userErrorReason(train(withoutExecutor(base), [datum(16), datum(2000)])))
      yield* train(base, [datum(16)])
    })
  )

  it.scoped("refuses prompts and continuations that would need more", () =>
    Effect.gen(function* () {
      const base = withoutExecutor(withRoom(yield* fixtures.loadQwen(), 300_000))
      const refused = (request: Engine.SampleOptions) =>
        Effect.map(fixtures.userErrorReason(sampler.sample(base, rowAdapter.none, request)), assertNumbers)
      yield* refused(sampleRequest({ prompt: Array.from({ length: 2000 }, () => 5) }))
      yield* refused(sampleRequest({ params: { max_tokens: 1900 } }))
    })
  )

  it.scoped("makes fewer sequences at once rather than refuse them, with equal samples", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const request = sampleRequest({ num_samples: 16, params: { max_tokens: 8, stop: [] } })
      const expected = yield* sampler.sample(base, rowAdapter.none, request)
      const rows: Array<string> = []
      const counting: LoadedModel = {
        ...withRoom(base, 300_000),
        executor: {
          ...base.executor,
          compile: (program) => {
            rows.push(program.key)
            return base.executor.compile(program)
          }
        }
      }
      const actual = yield* sampler.sample(counting, rowAdapter.none, request)
      assert.deepStrictEqual(
        actual.sequences.map(({ tokens }) => tokens),
        expected.sequences.map(({ tokens }) => tokens)
      )
      // of 16 rows, only a few fit
      const sizes = rows.filter((key) => key.startsWith("extend")).map((key) => Number(key.split(" ").at(-3)))
      assert.isAbove(sizes.length, 1)
      assert.isBelow(Math.max(...sizes), 16)
    })
  )
})

const request = (path: string, body: unknown) =>
  HttpClientRequest.post(`http://tinker.test/api/v1${path}`).pipe(HttpClientRequest.bodyUnsafeJson(body))

describe("Models at the start of an engine", () => {
  /** Starts an engine with the models, and collects what it logs of their memory. */
  const start = (names: ReadonlyArray<string>, memoryBudget: number) =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const models = names.map((name) => ({ name, directory: fixtures.path(name) }))
      const logger = Logger.make(({ message }) => lines.push(String(message)))
      const started = yield* JaxEngine.make({ models, memoryBudget }).pipe(
        Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
        Effect.either
      )
      return { lines: lines.filter((line) => line.includes("takes about")), started }
    }).pipe(Effect.provide(NodeContext.layer))

  it.scoped("say what they will take before they are loaded", () =>
    Effect.gen(function* () {
      const { lines } = yield* start(["tiny-qwen3"], 4e9)
      assert.match(
        lines.join(),
        /^tiny-qwen3 takes about 0\.26 GB of the memory budget of 4\.00 GB once it is loaded, 0\.[0-9]+ GB to train on 2 x 256 tokens, and 0\.[0-9]+ GB to sample 512 tokens after 512$/
      )
      const tight = yield* start(["tiny-qwen3"], 264e6)
      assert.include(tight.lines.join(), "GB to sample, which is more than that")
    })
  )

  it.scoped("are refused with both numbers, if not even a token fits", () =>
    Effect.gen(function* () {
      const { lines, started } = yield* start(["tiny-qwen3"], 262e6)
      assert.deepStrictEqual(lines, [])
      assert.match(
        Either.isLeft(started) ? started.left.message : "",
        /tiny-qwen3: the model needs about 0\.26 GB of memory for a single token, but the budget of the engine is 0\.26 GB: /
      )
    })
  )
})

describe.each([
  ["this thread", (options: JaxEngine.Options) => JaxEngine.layer(options).pipe(Layer.provide(NodeContext.layer))],
  ["a worker", NodeWorkerEngine.layer]
] as const)("A service over an engine in %s", (_name, engine) => {
  it.scoped("rejects what exceeds the budget when it arrives, and goes on", () =>
    Effect.gen(function* () {
      const models = [{ name: "test/tiny", directory: fixtures.path("tiny-qwen3") }]
      // the process and the weights take all but 2 MB
      const EngineLive = engine({ models, memoryBudget: 265e6 })
      const http = yield* InProcessHttpClient.make(
        TinkerServer.layer().pipe(Layer.provide([EngineLive, CheckpointStore.layerMemory, Store.layerMemory]))
      )
      const post = (path: string, body: unknown) =>
        Effect.gen(function* () {
          const response = yield* http.execute(request(path, body))
          return { status: response.status, body: (yield* response.json) as Record<string, string> }
        })
      const created = yield* post("/create_session", { tags: [], user_metadata: {}, sdk_version: "test" })
      const { session_id } = created.body
      const lora_config = { rank: 4, seed: 1 }
      const model = yield* post("/create_model", { session_id, model_seq_id: 0, base_model: "test/tiny", lora_config })
      const pass = (length: number, seq_id: number) => {
        const data = Array.from({ length }, () => 5)
        const datum = {
          model_input: { chunks: [{ type: "encoded_text", tokens: data }] },
          loss_fn_inputs: { target_tokens: { data, dtype: "int64", shape: [length] } }
        }
        const forward_backward_input = { data: [datum], loss_fn: "cross_entropy" }
        return post("/forward_backward", { forward_backward_input, model_id: model.body["model_id"], seq_id })
      }
      const tooLong = yield* pass(2000, 1)
      assert.strictEqual(tooLong.status, 400)
      assertNumbers(JSON.stringify(tooLong.body))
      assert.strictEqual((yield* pass(8, 2)).status, 200)
      const sampled = yield* post("/asample", {
        base_model: "test/tiny",
        prompt: { chunks: [{ type: "encoded_text", tokens: [5] }] },
        num_samples: 1,
        sampling_params: { max_tokens: 2040 }
      })
      assert.strictEqual(sampled.status, 400)
      assertNumbers(JSON.stringify(sampled.body))
    }).pipe(Effect.orDie)
  )
})
