/** A client of a service: JSON requests, results of operations, and bytes over a socket. */
import * as Http from "node:http"
import * as Net from "node:net"
import { FallsShort, sleep } from "./attack.ts"

// responses are what the service under attack sends: attacks check the fields that they need
// oxlint-disable-next-line typescript/no-explicit-any
type Json = any

export interface Answer {
  readonly status: number
  readonly body: Json
  readonly text: string
  readonly headers: Http.IncomingHttpHeaders
}

type Headers = { readonly [name: string]: string }

const parse = (text: string): Json => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const model = "effect-tinker/nano"

/** A datum of `cross_entropy`. */
export const datum = (tokens: ReadonlyArray<number>) => ({
  model_input: { chunks: [{ type: "encoded_text", tokens: tokens.slice(0, -1) }] },
  loss_fn_inputs: {
    target_tokens: { data: tokens.slice(1), dtype: "int64", shape: [tokens.length - 1] },
    weights: { data: tokens.slice(1).map(() => 1), dtype: "float32", shape: [tokens.length - 1] }
  }
})

/** Tokens of the shipped model. */
export const someTokens = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => 3 + ((from + i * 7) % 60))

export class Client {
  readonly url: string
  readonly port: number
  key: string | undefined
  /** one connection for each request that runs, so that none waits for another */
  readonly agent = new Http.Agent({ keepAlive: true, maxSockets: 512 })

  constructor(url: string, key?: string) {
    this.url = url
    this.port = Number(new URL(url).port)
    this.key = key
  }

  /** Sends a request with exactly these headers, and those of its body. */
  send(
    method: string,
    path: string,
    headers: Headers = {},
    body?: string | Uint8Array,
    timeout = 60_000
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const key = this.key === undefined ? {} : { "x-api-key": this.key }
      const request = Http.request(
        {
          host: "127.0.0.1",
          port: this.port,
          method,
          path,
          agent: this.agent,
          headers: { ...key, ...headers },
          timeout
        },
        (response) => {
          const chunks: Array<Buffer> = []
          response.on("data", (chunk: Buffer) => void chunks.push(chunk))
          response.on("error", reject)
          response.on("end", () => {
            const text = Buffer.concat(chunks).toString()
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: parse(text) })
          })
        }
      )
      request.on("timeout", () =>
        request.destroy(new FallsShort(`${method} ${path}: no response within ${timeout} ms`))
      )
      request.on("error", reject)
      request.end(body)
    })
  }

  get(path: string, headers: Headers = {}): Promise<Answer> {
    return this.send("GET", `/api/v1${path}`, headers)
  }

  post(path: string, body: unknown, headers: Headers = {}): Promise<Answer> {
    return this.postText(path, JSON.stringify(body), headers)
  }

  postText(path: string, body: string | Uint8Array, headers: Headers = {}): Promise<Answer> {
    return this.send("POST", `/api/v1${path}`, { "content-type": "application/json", ...headers }, body)
  }

  /** The body of a response with status 200. */
  async ok(answer: Promise<Answer>): Promise<Json> {
    const { body, status, text } = await answer
    if (status !== 200) throw new FallsShort(`a plain request got ${status}: ${text.slice(0, 300)}`)
    return body
  }

  async result(request_id: string): Promise<Json> {
    for (;;) {
      const body = await this.ok(this.post("/retrieve_future", { request_id }))
      if (body.type !== "try_again") return body
    }
  }

  /** Submits an operation, and waits for its result. */
  async run(path: string, body: unknown): Promise<Json> {
    const { request_id } = await this.ok(this.post(path, body))
    const result = await this.result(request_id)
    if (result.error !== undefined) throw new FallsShort(`${path} failed: ${String(result.error).slice(0, 300)}`)
    return result
  }

  async session(fields: object = {}): Promise<string> {
    const body = { tags: [], user_metadata: {}, sdk_version: "attack", ...fields }
    return (await this.ok(this.post("/create_session", body))).session_id
  }

  async model(session: string, model_seq_id = 0, rank = 8): Promise<string> {
    return (
      await this.run("/create_model", { session_id: session, model_seq_id, base_model: model, lora_config: { rank } })
    ).model_id
  }

  pass(model_id: string, seq_id: number, tokens = 16): Promise<Answer> {
    const input = { loss_fn: "cross_entropy", data: [datum(someTokens(tokens, seq_id))] }
    return this.post("/forward_backward", { model_id, seq_id, forward_backward_input: input })
  }

  /** A training step: a pass and a step of the optimizer. */
  async train(model_id: string, seq_id: number, learning_rate = 0.01): Promise<void> {
    const { request_id } = await this.ok(this.pass(model_id, seq_id))
    await this.result(request_id)
    await this.run("/optim_step", { model_id, seq_id: seq_id + 1, adam_params: { learning_rate } })
  }

  sample(fields: object): Promise<Json> {
    return this.run("/asample", {
      num_samples: 1,
      prompt: { chunks: [{ type: "encoded_text", tokens: someTokens(6) }] },
      sampling_params: { max_tokens: 4, seed: 1, temperature: 1 },
      ...fields
    })
  }

  /** How long a health check takes, in milliseconds. */
  async health(timeout = 20_000): Promise<number> {
    const began = performance.now()
    const { status } = await this.send("GET", "/api/v1/healthz", {}, undefined, timeout)
    if (status !== 200) throw new FallsShort(`healthz is ${status}`)
    return Math.round(performance.now() - began)
  }

  /** The longest health check while work goes on: how long others are held up. */
  async healthDuring<A>(
    work: Promise<A>
  ): Promise<{ readonly longest: number; readonly checks: number; readonly value: A }> {
    let done = false
    const finished = work.finally(() => void (done = true))
    void finished.catch(() => undefined)
    let longest = 0
    let checks = 0
    while (!done) {
      longest = Math.max(longest, await this.health(120_000))
      checks++
      await sleep(2)
    }
    return { longest, checks, value: await finished }
  }

  /** Opens a socket, writes, and keeps it open until it is destroyed. */
  socket(text: string | Uint8Array): Promise<Net.Socket> {
    return new Promise((resolve, reject) => {
      const socket = Net.connect(this.port, "127.0.0.1")
      socket.once("error", reject)
      socket.write(text, () => {
        socket.off("error", reject)
        socket.on("error", () => undefined)
        resolve(socket)
      })
    })
  }

  /** Sends bytes, and returns all that comes back until the connection closes, or for so long. */
  async exchange(text: string | Uint8Array, millis = 5000): Promise<string> {
    const socket = await this.socket(text)
    let received = ""
    socket.on("data", (chunk) => void (received += String(chunk)))
    await Promise.race([new Promise((resolve) => socket.on("close", resolve)), sleep(millis)])
    socket.destroy()
    return received
  }
}
