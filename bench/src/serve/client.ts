/** Requests to a server, from a process of its own: `client.ts load URL COUNT IN_FLIGHT`, or `client.ts streams URL COUNT`. */
import * as Http from "node:http"

const [mode, url, count, inFlight] = process.argv.slice(2)
const body = JSON.stringify({ model: "effect-tinker/test", prompt: "hello", max_tokens: 16, seed: 1, temperature: 0 })
const streamBody = JSON.stringify({ ...JSON.parse(body), stream: true })
const agent = new Http.Agent({ keepAlive: true, maxSockets: 2000 })

const post = (text: string, onResponse: (response: Http.IncomingMessage) => void) => {
  const headers = { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) }
  const request = Http.request(`${url}/v1/completions`, { method: "POST", agent, headers }, onResponse)
  request.on("error", () => {})
  request.end(text)
  return request
}

const complete = (): Promise<void> =>
  new Promise((resolve, reject) => {
    post(body, (response) => {
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`))
      response.resume()
      response.on("end", resolve)
    })
  })

/** Sends so many requests, a few at a time. */
const load = async (total: number, width: number) => {
  let left = total
  const worker = async () => {
    while (left-- > 0) await complete()
  }
  await Promise.all(Array.from({ length: width }, worker))
}

/** Opens so many streams, and prints the median time to the first byte. Ends them when it is told to. */
const streams = async (total: number) => {
  const times: Array<number> = []
  const opened = Array.from({ length: total }, () => {
    const start = performance.now()
    return new Promise<Http.ClientRequest>((resolve) => {
      const request = post(streamBody, (response) => {
        response.once("data", () => {
          times.push(performance.now() - start)
          resolve(request)
        })
      })
    })
  })
  const requests = await Promise.all(opened)
  console.log(times.toSorted((a, b) => a - b)[total >> 1])
  await new Promise((resolve) => process.stdin.once("data", resolve))
  for (const request of requests) request.destroy()
}

if (mode === "load") await load(Number(count), Number(inFlight))
else await streams(Number(count))
process.exit(0)
