/**
 * How a service takes a pass of some 30 MiB as JSON over a socket: how long the request takes, and for how long it keeps the event
 * loop from others. The baseline is one `JSON.parse` of the same text, which keeps the loop for all of its time. The engine
 * computes nothing, and the request comes from another thread.
 */
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as Store from "@effect-tinker/server/Store"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { Worker } from "node:worker_threads"
import { figure } from "./figure.ts"

const repeats = 5
const datums = 4000
const tokens = 1024

/** Sends each text that it gets, and answers with the status and the time in milliseconds. */
const sender = `
const { parentPort } = require("node:worker_threads")
parentPort.on("message", async ({ url, body }) => {
  const start = performance.now()
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body })
  parentPort.postMessage({ status: response.status, text: await response.text(), millis: performance.now() - start })
})
`

interface Answer {
  readonly status: number
  readonly text: string
  readonly millis: number
}

const send = (worker: Worker, url: string, body: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    worker.once("message", resolve)
    worker.once("error", reject)
    worker.postMessage({ url, body })
  })

const passOf = (model_id: string, seq_id: number): string => {
  const numbers = Array.from({ length: tokens }, (_, i) => i % 16)
  const tensor = (dtype: string) => ({ data: numbers, dtype, shape: [tokens] })
  const datum = {
    model_input: { chunks: [{ type: "encoded_text", tokens: numbers }] },
    loss_fn_inputs: { target_tokens: tensor("int64"), weights: tensor("float32") }
  }
  const forward_backward_input = { data: Array.from({ length: datums }, () => datum), loss_fn: "cross_entropy" }
  return JSON.stringify({ model_id, seq_id, forward_backward_input })
}

const measure = async (url: string, worker: Worker, print: (line: string) => void): Promise<void> => {
  const post = async (path: string, body: object) => {
    const answer = await send(worker, `${url}/api/v1/${path}`, JSON.stringify(body))
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`)
    return JSON.parse(answer.text) as { readonly session_id: string; readonly request_id: string }
  }
  const { session_id } = await post("create_session", { tags: [], user_metadata: {}, sdk_version: "bench" })
  const base_model = TestEngine.baseModel
  const created = await post("create_model", { session_id, model_seq_id: 0, base_model, lora_config: { rank: 8 } })
  const { model_id } = (await post("retrieve_future", { request_id: created.request_id })) as never
  const taken: Array<{ readonly millis: number; readonly longest: number; readonly parse: number }> = []
  for (let i = 0; i < repeats; i++) {
    // a gap before each: the passes are taken, and none of them runs
    const body = passOf(model_id, 2 + i)
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const { millis, status, text } = await send(
      worker,
      `${url}/api/v1/forward`,
      body.replace("forward_backward_input", "forward_input")
    )
    delay.disable()
    if (status !== 200) throw new Error(`forward: ${status} ${text}`)
    const start = performance.now()
    JSON.parse(body)
    taken.push({ millis, longest: delay.max / 1e6, parse: performance.now() - start })
    if (i === 0) print(`${(body.length / 2 ** 20).toFixed(1)} MiB of JSON, ${repeats} times`)
  }
  const best = (of: (one: (typeof taken)[number]) => number) => Math.min(...taken.map(of))
  const parse = { name: "JSON.parse", value: best((one) => one.parse) }
  print(
    figure(
      "large-json.request",
      best((one) => one.millis),
      "ms",
      parse
    )
  )
  print(
    figure(
      "large-json.longest-wait-of-others",
      best((one) => one.longest),
      "ms",
      parse
    )
  )
}

const server = NodeServer.layer({ port: 0, maxPendingBytes: 2 ** 31 }).pipe(
  Layer.provide([TestEngine.layer(), CheckpointStore.layerMemory, Store.layerMemory])
)

export default async (print: (line: string) => void = console.log): Promise<void> => {
  const worker = new Worker(sender, { eval: true })
  await Effect.gen(function* () {
    const context = yield* Layer.build(server)
    const url = yield* Effect.provide(NodeServer.baseUrl, context)
    yield* Effect.promise(() => measure(url, worker, print))
  })
    .pipe(Effect.scoped, Effect.runPromise)
    .finally(() => worker.terminate())
}
