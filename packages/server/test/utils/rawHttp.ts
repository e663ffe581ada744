/** Requests over a socket whose headers are exactly those that a test gives. */
import * as Effect from "effect/Effect"
import * as Net from "node:net"

export interface RawResponse {
  readonly status: number
  /** names are in lower case */
  readonly headers: { readonly [name: string]: string }
  readonly body: string
}

const parse = (text: string): RawResponse => {
  const [head = "", ...rest] = text.split("\r\n\r\n")
  const [line = "", ...fields] = head.split("\r\n")
  const headers: Record<string, string> = {}
  for (const field of fields) {
    const at = field.indexOf(":")
    headers[field.slice(0, at).toLowerCase()] = field.slice(at + 1).trim()
  }
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(line)?.[1]), headers, body: rest.join("\r\n\r\n") }
}

/** Sends text over a socket, and returns all that the server sends until it closes the connection. */
export const rawExchange = (port: number, text: string): Effect.Effect<string> =>
  Effect.async<string>((resume) => {
    let received = ""
    const socket = Net.connect(port, "127.0.0.1", () => socket.write(text))
    socket.on("data", (chunk) => {
      received += chunk.toString()
    })
    socket.on("error", () => undefined)
    socket.on("close", () => resume(Effect.succeed(received)))
    return Effect.sync(() => socket.destroy())
  })

/** Sends one request; a length and `Connection: close` are added. */
export const rawRequest = (
  port: number,
  method: string,
  path: string,
  headers: { readonly [name: string]: string },
  body = ""
): Effect.Effect<RawResponse> => {
  const all = { ...headers, connection: "close", "content-length": String(Buffer.byteLength(body)) }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Effect.map(rawExchange(port, `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`), parse)
}

/** Sends a chunked body for as long as there is no response. Returns the response, and the MiB that were sent. */
export const sendEndlessly = (port: number, request: string, type: string, maxMebi: number) =>
  Effect.async<{ readonly received: string; readonly sent: number }>((resume) => {
    let received = ""
    let sent = 0
    const chunk = Buffer.concat([Buffer.from("100000\r\n"), Buffer.alloc(2 ** 20, " "), Buffer.from("\r\n")])
    const socket = Net.connect(port, "127.0.0.1")
    const finish = () => {
      socket.destroy()
      resume(Effect.succeed({ received, sent }))
    }
    const send = () => {
      if (received !== "" || sent >= maxMebi) return finish()
      sent++
      socket.write(chunk, () => setImmediate(send))
    }
    socket.on("error", () => undefined)
    socket.on("data", (bytes) => {
      received += bytes.toString()
    })
    socket.write(
      `${request} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n`,
      send
    )
  })
