/**
 * `npm run sessions -- --sessions N`: creates, uses and finishes sessions one after another, in one fiber and in virtual
 * time. It fails if the service holds anything of them at the end, or if memory grows once the store has all rows that it
 * keeps.
 */
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Engine from "@effect-tinker/server/Engine"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as Store from "@effect-tinker/server/Store"
import * as TinkerService from "@effect-tinker/server/TinkerService"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { Context, Effect, Layer, Logger, LogLevel, TestClock, TestContext } from "effect"
import { parseArgs } from "node:util"
import { collect } from "../utils/garbage.ts"

const { values } = parseArgs({ options: { sessions: { type: "string", default: "10000" } } })
const sessions = Number(values.sessions)
if (!(sessions >= 3000)) throw new Error("--sessions takes a number of 3000 or more")
const every = Math.floor(sessions / 30)

// few, so that the store is full early: the ids of evicted results, which are kept too, are full after 1000 sessions
const maxRows = 500

/** What may remain of a session for ever, in bytes. */
const allowedGrowth = 128

const heap = (): number => {
  collect()
  return process.memoryUsage().heapUsed
}

interface Body {
  readonly session_id: string
  readonly request_id: string
  readonly model_id: string
  readonly sampling_session_id: string
}

const post = (path: string, body: object): Effect.Effect<Body, unknown, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const request = HttpClientRequest.post(`http://soak.test/api/v1${path}`)
    const response = yield* HttpClient.execute(HttpClientRequest.bodyUnsafeJson(request, body))
    const text = yield* response.text
    if (response.status >= 300) throw new Error(`${path}: ${response.status} ${text}`)
    return JSON.parse(text === "" ? "{}" : text) as Body
  })

const run = (path: string, body: object) =>
  Effect.flatMap(post(path, body), ({ request_id }) => post("/retrieve_future", { request_id }))

const tensor = (data: ReadonlyArray<number>, dtype: string) => ({ data, dtype, shape: [data.length] })
const prompt = { chunks: [{ type: "encoded_text", tokens: [1, 2] }] }
const loss_fn_inputs = { target_tokens: tensor([2, 3], "int64"), weights: tensor([1, 1], "float32") }
const pass = { data: [{ model_input: prompt, loss_fn_inputs }], loss_fn: "cross_entropy" }
const user_metadata = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`key${i}`, "x".repeat(100)]))

/** A session with a model, a result that is never fetched, a sample, and an operation that waits for one before it. */
const useSession = Effect.gen(function* () {
  const { session_id } = yield* post("/create_session", { tags: [], user_metadata, sdk_version: "soak" })
  const model = { session_id, model_seq_id: 0, base_model: TestEngine.baseModel, lora_config: { rank: 8 } }
  const { model_id } = yield* run("/create_model", model)
  yield* post("/forward_backward", { model_id, seq_id: 1, forward_backward_input: pass })
  const { sampling_session_id } = yield* run("/save_weights_for_sampler", { model_id, seq_id: 2 })
  yield* run("/asample", { sampling_session_id, seq_id: 0, num_samples: 2, prompt, sampling_params: { max_tokens: 4 } })
  yield* post("/forward_backward", { model_id, seq_id: 9, forward_backward_input: pass })
  yield* post(`/sessions/${session_id}/finish`, { reason: { type: "success" } })
  yield* TestClock.adjust("10 seconds")
})

/** The growth of the heap per session: the slope of a line that is fitted to it. */
const growthOf = (heaps: ReadonlyArray<number>): number => {
  const middle = (heaps.length - 1) / 2
  const mean = heaps.reduce((sum, heap) => sum + heap, 0) / heaps.length
  const slope =
    heaps.reduce((sum, heap, i) => sum + (i - middle) * (heap - mean), 0) /
    heaps.reduce((sum, _, i) => sum + (i - middle) ** 2, 0)
  return slope / every
}

const program = Effect.gen(function* () {
  const { engine } = yield* TestEngine.make({ record: false })
  const database = yield* Store.makeMemory({ maxRows })
  const parts = Layer.mergeAll(Layer.succeed(Engine.Engine, engine), CheckpointStore.layerMemory, database.layer)
  const context = yield* Layer.build(Layer.provide(TinkerService.layer(), parts))
  const service = Context.get(context, TinkerService.TinkerService)
  const http = Layer.provide(InProcessHttpClient.layerClient(), Layer.succeedContext(context))
  const heaps: Array<number> = []
  const use = Effect.gen(function* () {
    for (let i = 1; i <= sessions; i++) {
      yield* useSession
      if (i % every !== 0) continue
      heaps.push(heap())
      console.log(`${i} sessions: heap ${(heaps.at(-1)! / 2 ** 20).toFixed(2)} MiB`)
    }
  })
  yield* Effect.provide(use, http)
  yield* TestClock.adjust("10 minutes")
  const held = yield* service.held
  if (Object.values(held).some((count) => count > 0)) throw new Error(`the service holds ${JSON.stringify(held)}`)
  // caches, compiled code, and the rows that the store keeps fill the heap in the beginning
  const growth = growthOf(heaps.slice(Math.floor(heaps.length / 3)))
  console.log(`the heap grew by ${growth.toFixed(0)} bytes a session after the first third`)
  if (growth > allowedGrowth) throw new Error(`memory is not flat: ${allowedGrowth} bytes a session are allowed`)
})

program
  .pipe(
    Effect.scoped,
    Logger.withMinimumLogLevel(LogLevel.None),
    Effect.provide(TestContext.TestContext),
    Effect.runPromise
  )
  .catch((error: unknown) => {
    console.error(error)
    process.exitCode = 1
  })
