/**
 * A chat page over `tinker serve`, or any service with OpenAI's protocol, with nothing but Node:
 *
 *   tinker serve > service.env &
 *   source service.env && npx tsx examples/src/chat-page.ts
 *
 * It reads TINKER_BASE_URL and TINKER_API_KEY. TINKER_MODEL names weights, `tinker://…/sampler_weights/…`; by default it is
 * the first model of the service.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"

const page = `<!doctype html><meta charset="utf-8"><title>Chat</title>
<style>body { font: 16px system-ui; max-width: 40em; margin: 2em auto } p { white-space: pre-wrap }</style>
<div id="log"></div><form><input autofocus size="50" aria-label="message"> <button>Send</button></form>
<script>
const messages = [], log = document.querySelector("#log"), input = document.querySelector("input")
const add = (text) => { const p = document.createElement("p"); p.textContent = text; return log.appendChild(p) }
document.querySelector("form").onsubmit = async (event) => {
  event.preventDefault()
  messages.push({ role: "user", content: input.value }); add("you: " + input.value); input.value = ""
  const response = await fetch("/chat", { method: "POST", body: JSON.stringify(messages) })
  const p = add("model: "); let content = ""
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) { content += piece; p.textContent += piece }
  messages.push({ role: "assistant", content })
}
</script>`

interface Options {
  readonly baseUrl: string
  readonly apiKey: string
  readonly model?: string | undefined
}

/** Asks the service, and gives the text of its server-sent events as it comes. */
async function* ask({ apiKey, baseUrl, model }: Options, messages: unknown) {
  const headers = { authorization: `Bearer ${apiKey}`, "content-type": "application/json" }
  const models = async () => (await (await fetch(`${baseUrl}/v1/models`, { headers })).json()).data[0].id
  const body = JSON.stringify({ model: model ?? (await models()), messages, stream: true, max_tokens: 256 })
  const response = await fetch(`${baseUrl}/v1/chat/completions`, { method: "POST", headers, body })
  if (!response.ok || response.body === null) throw new Error(await response.text())
  const reader = response.body.getReader()
  const decoder = new TextDecoder()
  let rest = ""
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const lines = `${rest}${decoder.decode(read.value, { stream: true })}`.split("\n")
    rest = lines.pop()!
    for (const line of lines) {
      if (!line.startsWith("data: ") || line === "data: [DONE]") continue
      const { choices, error } = JSON.parse(line.slice("data: ".length))
      if (error !== undefined) throw new Error(error.message)
      yield choices[0]?.delta.content ?? ""
    }
  }
}

const answer = async (options: Options, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  if (request.method !== "POST") {
    response.end(page)
    return
  }
  try {
    for await (const piece of ask(options, JSON.parse(await text(request)))) response.write(piece)
    response.end()
  } catch (error) {
    if (!response.headersSent) response.writeHead(502)
    response.end(String(error))
  }
}

export const makeServer = (options: Options) =>
  createServer((request, response) => void answer(options, request, response))

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { TINKER_API_KEY: apiKey = "tml-any", TINKER_BASE_URL: baseUrl, TINKER_MODEL: model } = process.env
  if (baseUrl === undefined) throw new Error("set TINKER_BASE_URL, as tinker serve prints it")
  makeServer({ baseUrl, apiKey, model }).listen(3000, "127.0.0.1", () => console.log("http://127.0.0.1:3000"))
}
