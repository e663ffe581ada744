/** Requests to a server, from a process of its own: `client.ts load URL COUNT IN_FLIGHT`, or `client.ts streams URL COUNT`. */
import * as Http from "node:http"

const [mode, url, count, inFlight] = process.argv.slice(2)
const body = JSON.stringify({ model: "effect-tinker/test", prompt: "hello", max_tokens: 16, seed: 1, temperature: 0 })
const streamBody = JSON.stringify({ ...JSON.parse(body), stream: true })
const agent = new Http.Agent({ keepAlive: true, maxSockets: 2000 })

const post = (
  text: string,
  onResponse: (response: Http.IncomingMessage) => void,
  onError: (error: Error) => void
): Http.ClientRequest => {
  const headers = { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) }
  const request = Http.request(`${url}/v1/completions`, { method: "POST", agent, headers }, onResponse)
  request.on("error", onError)
  request.end(text)
  return request
}

const complete = (): Promise<void> =>
  new Promise((resolve, reject) => {
    post(
      body,
      (response) => {
        if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`))
        response.resume()
        response.on("end", resolve)
      },
      reject
    )
  })

/** Sends so many requests, a few at a time. */
const load = async (total: number, width: number) => {
  let left = total
  const worker = async () => {
    while (left-- > 0) await complete()
  }
  await Promise.all(Array.from({ length: width }, worker))
}

/** A server drops connections that come faster than it accepts them. */
const opening = 100

/** Opens a stream, and returns the time to its first byte. A stream that breaks afterwards was ended by this process. */
const open = (requests: Array<Http.ClientRequest>): Promise<number> =>
  new Promise((resolve, reject) => {
    const start = performance.now()
    const onResponse = (response: Http.IncomingMessage) =>
      response.once("data", () => resolve(performance.now() - start)).on("error", () => {})
    requests.push(post(streamBody, onResponse, reject))
  })

/** Opens so many streams, and prints the median time to the first byte. Ends them when it is told to. */
const streams = async (total: number) => {
  const requests: Array<Http.ClientRequest> = []
  const times: Array<number> = []
  const worker = async () => {
    while (requests.length < total) times.push(await open(requests))
  }
  await Promise.all(Array.from({ length: Math.min(opening, total) }, worker))
  console.log(times.toSorted((a, b) => a - b)[total >> 1])
  await new Promise((resolve) => process.stdin.once("data", resolve))
  for (const request of requests) request.destroy()
}

if (mode === "load") await load(Number(count), Number(inFlight))
else await streams(Number(count))
process.exit(0)
