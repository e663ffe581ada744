/** A proxy that records what it is asked for, and a certificate for servers of the tests. */
import { Effect } from "effect"
import * as Http from "node:http"
import * as Net from "node:net"
import type { AddressInfo } from "node:net"

/** Self-signed, for service.test, hub.test, localhost and 127.0.0.1. */
export const certificate = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBvDCCAWGgAwIBAgIUDJjeVZWXAg0nafyajZgQCeRoBuEwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMc2VydmljZS50ZXN0MCAXDTI2MTEyODIyMjQzMloYDzIxMjYx
MTA0MjIyNDMyWjAXMRUwEwYDVQQDDAxzZXJ2aWNlLnRlc3QwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAARXGAx+vpVUfXrVruBFthNMH4GRY3gCoFNbyKaQu8uTDLSv
0pHpLjJ37xjHyx3ZJ/m8QlqwbjhAPK4tdrH7lZNmo4GIMIGFMB0GA1UdDgQWBBS3
UJkr/oA7ZUiu1T9YEm0iESyXGjAfBgNVHSMEGDAWgBS3UJkr/oA7ZUiu1T9YEm0i
ESyXGjAPBgNVHRMBAf8EBTADAQH/MDIGA1UdEQQrMCmCDHNlcnZpY2UudGVzdIII
aHViLnRlc3SCCWxvY2FsaG9zdIcEfwAAATAKBggqhkjOPQQDAgNJADBGAiEAp6wv
ni6PhZ9PaOdS3cdSXR42GLu4jDHJn/H/xxjOVgECIQC3Sk+repyv9+lcShhdM/uW
J+30l/wtDeCcz+RttnAKQg==
-----END CERTIFICATE-----
`,
  // the key of a certificate that only the tests trust
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg9nvRsLyxvcpwJROn
EX4loaQuNGcemilLSiOfGeO9/f6hRANCAARXGAx+vpVUfXrVruBFthNMH4GRY3gC
oFNbyKaQu8uTDLSv0pHpLjJ37xjHyx3ZJ/m8QlqwbjhAPK4tdrH7lZNm
-----END PRIVATE KEY-----
`
}

export interface ProxyRequest {
  readonly method: string
  /** an absolute URL, or the host and port of a CONNECT */
  readonly target: string
  readonly host: string | undefined
  readonly authorization: string | undefined
}

export interface ProxyOptions {
  /** responds with this status instead */
  readonly refuse?: number
}

const record = (received: Array<ProxyRequest>, { headers, method, url }: Http.IncomingMessage) =>
  received.push({
    method: method!,
    target: url!,
    host: headers.host,
    authorization: headers["proxy-authorization"]
  })

/**
 * Starts a proxy, which takes every host for the server at this port of the loopback address. It stops with the scope.
 */
export const makeProxy = (upstream: number, { refuse }: ProxyOptions = {}) =>
  Effect.gen(function* () {
    const received: Array<ProxyRequest> = []
    const sockets = new Set<Net.Socket>()
    const server = Http.createServer((request, response) => {
      record(received, request)
      if (refuse !== undefined) return void response.writeHead(refuse).end("no entry")
      const { pathname, search } = new URL(request.url!)
      const { "proxy-authorization": _, ...headers } = request.headers
      request.pipe(
        Http.request({ port: upstream, host: "127.0.0.1", method: request.method, path: pathname + search, headers })
          .on("response", (forwarded) => {
            response.writeHead(forwarded.statusCode!, forwarded.headers)
            forwarded.pipe(response)
          })
          .on("error", () => response.destroy())
      )
    })
    server.on("connect", (request: Http.IncomingMessage, socket: Net.Socket) => {
      record(received, request)
      socket.on("error", () => undefined)
      if (refuse !== undefined) return void socket.end(`HTTP/1.1 ${refuse} No\r\ncontent-length: 0\r\n\r\n`)
      const onward = Net.connect(upstream, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
        onward.pipe(socket).pipe(onward)
      })
      sockets.add(onward)
      onward.on("error", () => socket.destroy())
    })
    server.on("connection", (socket) => sockets.add(socket))
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.sync(() => {
          sockets.forEach((socket) => socket.destroy())
          server.close()
        })
    )
    const { port } = server.address() as AddressInfo
    return { received, port, url: `http://127.0.0.1:${port}` }
  })
