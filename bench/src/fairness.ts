/**
 * How long a small pass of one user takes over a socket while another floods the service: with 160 queued passes, and with
 * samples. The engine is the shipped model in its thread; the baseline is the same pass when nobody else is there.
 */
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as NodeWorkerEngine from "@effect-tinker/engine/NodeWorkerEngine"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { figure } from "./figure.ts"

const repetitions = 9
const passes = 160
const models = 8

const keys = ["tml-ada", "tml-bob"] as const
type Key = (typeof keys)[number]

// responses are read by the fields that are expected
type Json = any // eslint-disable-line typescript/no-explicit-any

/** Sends requests of a user. */
class User {
  private readonly url: string
  private readonly key: Key

  constructor(url: string, key: Key) {
    this.url = url
    this.key = key
  }

  async post(path: string, body: object): Promise<Json> {
    const response = await fetch(`${this.url}/api/v1/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": this.key },
      body: JSON.stringify(body)
    })
    const json = await response.json()
    if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(json)}`)
    return json
  }

  async result(request_id: string): Promise<Json> {
    for (;;) {
      const result = await this.post("retrieve_future", { request_id, allow_metadata_only: false })
      if (result.error !== undefined) throw new Error(result.error)
      if (result.type !== "try_again") return result
    }
  }

  async createSession(): Promise<string> {
    return (await this.post("create_session", { tags: [], user_metadata: {}, sdk_version: "bench" })).session_id
  }

  async createModel(session_id: string, model_seq_id: number): Promise<string> {
    const lora_config = { rank: 16 }
    const { request_id } = await this.post("create_model", {
      session_id,
      model_seq_id,
      base_model: JaxEngine.nano,
      lora_config
    })
    return (await this.result(request_id)).model_id
  }

  /** Queues a pass of so many datums of 32 tokens. */
  async pass(model_id: string, seq_id: number, datums: number): Promise<string> {
    const tokens = Array.from({ length: 33 }, (_, i) => 3 + ((i * 7) % 256))
    const tensor = (data: ReadonlyArray<number>, dtype: string) => ({ data, dtype, shape: [data.length] })
    const datum = {
      model_input: { chunks: [{ type: "encoded_text", tokens: tokens.slice(0, -1) }] },
      loss_fn_inputs: {
        target_tokens: tensor(tokens.slice(1), "int64"),
        weights: tensor(
          Array.from({ length: 32 }, () => 1),
          "float32"
        )
      }
    }
    const data = Array.from({ length: datums }, () => datum)
    const forward_backward_input = { data, loss_fn: "cross_entropy" }
    return (await this.post("forward_backward", { model_id, seq_id, forward_backward_input })).request_id
  }
}

/** Runs small passes one after another, and returns their times in milliseconds, sorted. */
const smallPasses = async (user: User, model: string, firstSeq: number): Promise<ReadonlyArray<number>> => {
  const times: Array<number> = []
  for (let i = 0; i < repetitions; i++) {
    const start = performance.now()
    await user.result(await user.pass(model, firstSeq + i, 8))
    times.push(performance.now() - start)
  }
  return times.sort((a, b) => a - b)
}

const median = (sorted: ReadonlyArray<number>): number => sorted[Math.floor(sorted.length / 2)]!

const floodWithPasses = async (user: User): Promise<string> => {
  const session = await user.createSession()
  const ids: Array<string> = []
  for (let i = 0; i < models; i++) ids.push(await user.createModel(session, i))
  for (let seq = 1; seq <= passes / models; seq++) for (const id of ids) await user.pass(id, seq, 256)
  return session
}

/** Queues 200,000 samples. */
const floodWithSamples = async (user: User): Promise<string> => {
  const session_id = await user.createSession()
  const { sampling_session_id } = await user.post("create_sampling_session", {
    session_id,
    sampling_session_seq_id: 0,
    base_model: JaxEngine.nano
  })
  for (let seq_id = 0; seq_id < 50; seq_id++) {
    await user.post("asample", {
      sampling_session_id,
      seq_id,
      num_samples: 4000,
      prompt: { chunks: [{ type: "encoded_text", tokens: [5, 6, 7, 8] }] },
      sampling_params: { max_tokens: 64, temperature: 1, stop: [] }
    })
  }
  return session_id
}

const finish = async (url: string, key: Key, session: string): Promise<void> => {
  await fetch(`${url}/api/v1/sessions/${session}/finish`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": key },
    body: JSON.stringify({ reason: { type: "success" } })
  })
}

const measure = async (url: string) => {
  const [ada, bob] = [new User(url, "tml-ada"), new User(url, "tml-bob")]
  const model = await bob.createModel(await bob.createSession(), 0)
  await smallPasses(bob, model, 1)
  const alone = await smallPasses(bob, model, 1 + repetitions)
  const passesOfAda = await floodWithPasses(ada)
  const besidePasses = await smallPasses(bob, model, 1 + 2 * repetitions)
  await finish(url, "tml-ada", passesOfAda)
  const samplesOfAda = await floodWithSamples(ada)
  const besideSamples = await smallPasses(bob, model, 1 + 3 * repetitions)
  await finish(url, "tml-ada", samplesOfAda)
  return { alone, besidePasses, besideSamples }
}

const server = NodeServer.layer({ port: 0, apiKeys: keys.map((key) => Redacted.make(key)) }).pipe(
  Layer.provide([NodeWorkerEngine.layer(), CheckpointStore.layerMemory, Store.layerMemory]),
  Layer.provide(NodeContext.layer)
)

export default async (print: (line: string) => void = console.log): Promise<void> => {
  const { alone, besidePasses, besideSamples } = await Effect.gen(function* () {
    const context = yield* Layer.build(server)
    const url = yield* Effect.provide(NodeServer.baseUrl, context)
    return yield* Effect.promise(() => measure(url))
  }).pipe(Effect.scoped, Effect.runPromise)
  print(`a pass of 8 datums of 32 tokens over a socket, median and slowest of ${repetitions}`)
  const row = (name: string, times: ReadonlyArray<number>) =>
    print(`${name.padEnd(36)}${median(times).toFixed(0).padStart(8)} ms${times.at(-1)!.toFixed(0).padStart(8)} ms`)
  row("alone", alone)
  row(`beside ${passes} passes of 256 datums`, besidePasses)
  row("beside 200,000 samples of 64 tokens", besideSamples)
  const baseline = { name: "alone", value: median(alone) }
  print(figure("fairness.passes", median(besidePasses), "ms", baseline))
  print(figure("fairness.passes.slowest", besidePasses.at(-1)!, "ms", baseline))
  print(figure("fairness.samples", median(besideSamples), "ms", baseline))
  print(figure("fairness.samples.slowest", besideSamples.at(-1)!, "ms", baseline))
}
