/** Bodies that are too large, too slow, too deep, malformed, or compressed bombs. */
import { type Attack, expect, isShort, sleep } from "./attack.ts"
import { memoryOf, type Service } from "./service.ts"

const mebi = 2 ** 20

const head = (path: string, headers: string): string =>
  `POST /api/v1${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${headers}\r\n\r\n`

/** Streams a chunked body of white space for as long as the service reads it. */
const endless = async (service: Service): Promise<string> => {
  const socket = await service.socket(head("/create_session", "transfer-encoding: chunked"))
  let answer = ""
  socket.on("data", (chunk) => void (answer += String(chunk)))
  const chunk = Buffer.concat([Buffer.from("100000\r\n"), Buffer.alloc(mebi, " "), Buffer.from("\r\n")])
  let sent = 0
  while (answer === "" && sent < (isShort ? 100 : 600) && !socket.destroyed) {
    await new Promise<void>((resolve) => socket.write(chunk, () => resolve()))
    sent++
  }
  await sleep(200)
  socket.destroy()
  const status = /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]
  const waited = await service.health()
  expect(status === "413", `${sent} MiB were read, and the answer is ${status ?? "none"}`)
  return `413 after ${sent} MiB, healthy after ${waited} ms, peak ${memoryOf(service).peak} MiB`
}

const largePass = (size: number): string => {
  const count = Math.floor(size / 12)
  const numbers = `[${"1,".repeat(count - 1)}1]`
  const datum =
    `{"model_input":{"chunks":[{"type":"encoded_text","tokens":${numbers}}]},` +
    `"loss_fn_inputs":{"target_tokens":{"data":${numbers},"dtype":"int64"},` +
    `"weights":{"data":[${"0.25,".repeat(count)}1],"dtype":"float32"}}}`
  return `{"model_id":"none","seq_id":1,"forward_backward_input":{"loss_fn":"cross_entropy","data":[${datum}]}}`
}

/** A body just below its bound: how many answers others get while it is parsed. */
const largeJson = async (service: Service): Promise<string> => {
  const body = largePass(29 * mebi)
  const quiet = await service.healthDuring(sleep(300))
  const { checks, longest, value } = await service.healthDuring(service.postText("/forward_backward", body))
  expect(value.status >= 400 && value.status < 500, `the body got ${value.status}`)
  expect(checks > 10, `others got ${checks} answers meanwhile, the slowest after ${longest} ms`)
  return `others got ${checks} answers meanwhile, the slowest after ${longest} ms (${quiet.longest} ms without it)`
}

/** Bodies that are never finished, until they fill the memory that bodies may take. */
const manyBodies = async (service: Service): Promise<string> => {
  const before = memoryOf(service).now
  const count = isShort ? 8 : 24
  const size = 60 * mebi
  const part = Buffer.alloc(size, " ")
  const protobuf = head("/forward_backward", `content-length: ${size + 1}`).replace(
    "application/json",
    "application/x-protobuf"
  )
  const sockets = []
  for (let i = 0; i < count; i++) {
    const socket = await service.socket(protobuf)
    socket.write(part)
    sockets.push(socket)
  }
  await sleep(isShort ? 1500 : 5000)
  const held = memoryOf(service).now - before
  const small = await service.post("/create_session", { tags: [], user_metadata: {}, sdk_version: "1" })
  for (const socket of sockets) socket.destroy()
  await service.health()
  expect(held < 1200, `${count} bodies of 60 MiB took ${held} MiB of memory`)
  expect(small.status === 200, `a small request got ${small.status} meanwhile`)
  return `${count} bodies of 60 MiB took ${held} MiB, and a small request passed`
}

const compressed = async (service: Service): Promise<string> => {
  const gzip = await service.postText("/create_session", Buffer.alloc(100), { "content-encoding": "gzip" })
  expect(gzip.status === 415, `gzip got ${gzip.status}`)
  // 10,000 blocks of 128 KiB each that repeat one byte, which is 1.2 GiB, in a frame that says how much it holds
  const block = Buffer.from([0x02, 0x00, 0x10, 0x20])
  const last = Buffer.from([0x03, 0x00, 0x10, 0x20])
  const frameOf = (size: number) => {
    const start = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0x58, 0, 0, 0, 0, 0, 0, 0, 0])
    start.writeBigUInt64LE(BigInt(size), 6)
    return Buffer.concat([start, ...Array.from({ length: 9999 }, () => block), last])
  }
  const frame = frameOf(10_000 * 131_072)
  const before = memoryOf(service).now
  const zstd = await service.postText("/forward_backward", frame, { "content-encoding": "zstd" })
  expect(zstd.status === 413 || zstd.status === 422, `a bomb of zstd got ${zstd.status}`)
  const lie = await service.postText("/forward_backward", frameOf(100), { "content-encoding": "zstd" })
  expect(lie.status === 413 || lie.status === 422, `a bomb that names a small size got ${lie.status}`)
  const grown = memoryOf(service).peak - before
  expect(grown < 400, `the bombs took ${grown} MiB`)
  return `gzip 415, ${frame.length} bytes of zstd for 1.2 GiB ${zstd.status}, ${Math.max(0, grown)} MiB more at peak`
}

const malformed = async (service: Service): Promise<string> => {
  const session = await service.session()
  const cases: ReadonlyArray<readonly [string, string | Uint8Array]> = [
    ["nested arrays", `{"a":${"[".repeat(500_000)}${"]".repeat(500_000)}}`],
    ["nested objects", `${'{"a":'.repeat(200_000)}1${"}".repeat(200_000)}`],
    ["unclosed arrays", "[".repeat(1_000_000)],
    ["__proto__", `{"__proto__":{"session_id":"x"},"tags":[],"user_metadata":{"__proto__":"x"},"sdk_version":"1"}`],
    ["constructor", `{"constructor":{"prototype":{"polluted":1}},"sdk_version":1}`],
    ["equal keys", `{"session_id":"nobody","session_id":"${session}","session_id":["x"]}`],
    ["invalid UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
    ["a million keys", `{${Array.from({ length: 200_000 }, (_, i) => `"k${i}":1`).join()}}`],
    ["lone surrogates", `{"tags":["\\ud800"],"user_metadata":{"\\udfff":"\\ud800"},"sdk_version":"\\u0000"}`],
    ["a long number", `{"session_id":${"9".repeat(1_000_000)}}`],
    ["null", "null"],
    ["nothing", ""]
  ]
  for (const [name, body] of cases) {
    for (const path of ["/create_session", "/session_heartbeat", "/forward_backward", "/asample"]) {
      const { status, text } = await service.postText(path, body)
      expect(status < 500 && status >= 200, `${name} to ${path}: ${status} ${text.slice(0, 200)}`)
    }
  }
  const plain = await service.get(`/sessions/${session}`)
  expect(!plain.text.includes("polluted"), "a prototype was changed")
  return `${cases.length} shapes to 4 endpoints: no 5xx`
}

const slow = async (service: Service): Promise<string> => {
  const count = isShort ? 300 : 2000
  const sockets = []
  for (let i = 0; i < count; i++)
    sockets.push(await service.socket(head("/create_session", "content-length: 1000") + "{"))
  const headers = []
  for (let i = 0; i < count; i++) headers.push(await service.socket("GET /api/v1/healthz HTTP/1.1\r\nx: "))
  const waited = await service.health()
  for (const socket of [...sockets, ...headers]) socket.destroy()
  return `${2 * count} requests that never end are open, a health check takes ${waited} ms`
}

const smuggling = async (service: Service): Promise<string> => {
  const cases = [
    `GET /api/v1/healthz HTTP/1.1\r\nhost: localhost\r\n${"x: y\r\n".repeat(5000)}\r\n`,
    `GET /api/v1/healthz HTTP/1.1\r\nhost: localhost\r\nx: ${"y".repeat(100_000)}\r\n\r\n`,
    `GET /${"a".repeat(100_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`,
    "POST /api/v1/create_session HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
    "POST /api/v1/create_session HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
    "POST /api/v1/create_session HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n{}",
    "POST /api/v1/create_session HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
    "GET /api/v1/healthz HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n",
    "GET http://evil.example/api/v1/healthz HTTP/1.1\r\nhost: evil.example\r\n\r\n",
    "\u0000\u0001\u0002\r\n\r\n"
  ]
  const statuses = []
  for (const text of cases) statuses.push(/^HTTP\/1\.1 (\d+)/.exec(await service.exchange(text, 300))?.[1] ?? "closed")
  expect(!statuses.some((status) => status.startsWith("5")), `statuses ${statuses.join(" ")}`)
  const request = (connection: string) =>
    `GET /api/v1/healthz HTTP/1.1\r\nhost: localhost\r\nconnection: ${connection}\r\n\r\n`
  const pipelined = request("keep-alive").repeat(499) + request("close")
  const answers = (await service.exchange(pipelined, 60_000)).split("HTTP/1.1 200").length - 1
  expect(answers === 500, `${answers} of 500 pipelined requests were answered`)
  return `${statuses.join(" ")}, and 500 pipelined requests were answered`
}

export const attacks = (service: Service): ReadonlyArray<Attack> => [
  { name: "a body without an end", short: true, run: () => endless(service) },
  { name: "29 MiB of JSON while others ask", short: false, run: () => largeJson(service) },
  { name: "bodies that fill the memory", short: true, run: () => manyBodies(service) },
  { name: "compressed bodies that expand", short: true, run: () => compressed(service) },
  { name: "malformed JSON", short: false, run: () => malformed(service) },
  { name: "requests that never end", short: false, run: () => slow(service) },
  { name: "header floods, smuggling and pipelining", short: true, run: () => smuggling(service) }
]
