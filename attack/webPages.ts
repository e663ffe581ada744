/** Web pages and other machines that drive a service without keys. */
import { type Attack, expect } from "./attack.ts"
import type { Service } from "./service.ts"

const body = JSON.stringify({ tags: [], user_metadata: {}, sdk_version: "1" })

const foreign: ReadonlyArray<readonly [string, { readonly [name: string]: string }]> = [
  ["a form's content type", { "content-type": "text/plain; x=application/json" }],
  ["a list of types", { "content-type": "text/plain, application/json" }],
  ["a foreign origin", { "content-type": "application/json", origin: "https://evil.example" }],
  ["the origin null", { "content-type": "application/json", origin: "null" }],
  ["a host name that an attacker controls", { "content-type": "application/json", host: "evil.example" }],
  ["a host that starts as loopback", { "content-type": "application/json", host: "127.0.0.1.evil.example" }],
  ["a cross-site request", { "content-type": "application/json", "sec-fetch-site": "cross-site" }]
]

const drive = async (service: Service): Promise<string> => {
  const statuses = []
  for (const [name, headers] of foreign) {
    const { status } = await service.send("POST", "/api/v1/create_session", { host: "localhost", ...headers }, body)
    expect(status >= 400 && status < 500, `${name} was served: ${status}`)
    statuses.push(status)
  }
  const untyped = `POST /api/v1/create_session HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  const answer = await service.exchange(untyped)
  expect(answer.startsWith("HTTP/1.1 4"), `a body without a type was served: ${answer.slice(0, 40)}`)
  const plain = await service.postText("/create_session", body)
  expect(plain.status === 200, `a plain request was refused: ${plain.status}`)
  return `${statuses.join(" ")} for ${foreign.map(([name]) => name).join(", ")}`
}

const read = async (service: Service): Promise<string> => {
  const preflight = await service.send("OPTIONS", "/api/v1/create_session", {
    host: "localhost",
    origin: "https://evil.example",
    "access-control-request-method": "POST"
  })
  expect(preflight.headers["access-control-allow-origin"] === undefined, "a preflight of a foreign origin was allowed")
  for (const path of ["/metrics", "/api/v1/readyz", "/api/v1/checkpoints", "/api/v1/downloads/x/weights/y/z"]) {
    const { headers, status } = await service.send("GET", path, {
      host: "evil.example",
      origin: "https://evil.example"
    })
    expect(status >= 400 && headers["access-control-allow-origin"] === undefined, `${path} was served: ${status}`)
  }
  return `a preflight gets ${preflight.status} without CORS headers, and no page reads metrics or downloads`
}

export const attacks = (service: Service): ReadonlyArray<Attack> => [
  { name: "requests that web pages can send", short: true, run: () => drive(service) },
  { name: "responses that web pages could read", short: true, run: () => read(service) }
]
