/** A hostile service against the client and the command, and what other accounts of the machine see of a service. */
import { readFileSync, statSync, writeFileSync } from "node:fs"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { createGzip, gzipSync } from "node:zlib"
import { type Attack, expect, isShort } from "./attack.ts"
import { collect, makeDirectory, tinker, withService } from "./service.ts"

/** Runs the command against a server that responds as given. */
const against = async (respond: Http.RequestListener, args: ReadonlyArray<string>) => {
  const server = Http.createServer(respond)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const env = { TINKER_BASE_URL: `http://127.0.0.1:${port}`, TINKER_API_KEY: "tml-of-the-user" }
  const child = tinker(args, { cwd: makeDirectory(), env })
  let peak = 0
  const watch = setInterval(() => {
    try {
      const kibi = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1] ?? 0
      peak = Math.max(peak, Number(kibi) / 1024)
    } catch {
      // it has ended
    }
  }, 50)
  const result = await collect(child)
  clearInterval(watch)
  server.closeAllConnections()
  server.close()
  return { ...result, peak: Math.round(peak) }
}

const hostileText = "a\u001b]0;owned\u0007b\u001b[2Jc\u009b31md\u202ee\u2066f\u0000g\rh"

const escapes = async (): Promise<string> => {
  const run = {
    training_run_id: hostileText,
    base_model: hostileText,
    model_owner: hostileText,
    is_lora: true,
    lora_rank: 8,
    corrupted: false,
    last_request_time: "2026-01-01T00:00:00Z"
  }
  const results = await Promise.all([
    against(
      (_, response) => {
        response.writeHead(400, { "content-type": "application/json" })
        response.end(JSON.stringify({ detail: hostileText }))
      },
      ["run", "list"]
    ),
    against(
      (_, response) => {
        response.writeHead(200, { "content-type": "application/json" })
        response.end(JSON.stringify({ training_runs: [run], cursor: { offset: 0, limit: 20, total_count: 1 } }))
      },
      ["run", "list"]
    )
  ])
  // oxlint-disable-next-line no-control-regex
  const raw = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/
  for (const { stderr, stdout } of results) {
    expect(
      !raw.test(stdout) && !raw.test(stderr),
      `raw escapes are printed: ${JSON.stringify((stdout + stderr).slice(0, 200))}`
    )
  }
  expect(
    results.some(({ stderr, stdout }) => (stdout + stderr).includes("owned")),
    "the text of the service is not shown at all"
  )
  return `an error and a list are printed without them: ${JSON.stringify(results[0]!.stderr.trim().slice(0, 80))}`
}

const bombs = async (): Promise<string> => {
  const zeros = Buffer.alloc(2 ** 24, "0")
  const size = isShort ? 2 ** 28 : 2 ** 30
  const bomb = await new Promise<Buffer>((resolve) => {
    const gzip = createGzip({ level: 9 })
    const chunks: Array<Buffer> = []
    gzip.on("data", (chunk: Buffer) => void chunks.push(chunk))
    gzip.on("end", () => resolve(Buffer.concat(chunks)))
    for (let sent = 0; sent < size; sent += zeros.length) gzip.write(zeros)
    gzip.end()
  })
  const compressed = await against(
    (_, response) => {
      response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" })
      response.end(bomb)
    },
    ["run", "list"]
  )
  const plain = await against(
    (_, response) => {
      response.writeHead(200, { "content-type": "application/json" })
      const write = (sent: number): void => {
        if (sent >= size || response.destroyed) return void response.end()
        response.write(zeros, () => write(sent + zeros.length))
      }
      write(0)
    },
    ["run", "list"]
  )
  for (const { code, peak, stderr } of [compressed, plain]) {
    expect(code === 1 && /larger than/.test(stderr), `the command ends with ${code}: ${stderr.slice(0, 300)}`)
    expect(peak < 1500, `the command took ${peak} MiB`)
  }
  return `${gzipSync(bomb).length} bytes of gzip and ${size} plain bytes: ${compressed.stderr.trim().slice(0, 120)}`
}

const redirected = async (): Promise<string> => {
  const seen: Array<string> = []
  const other = Http.createServer((request, response) => {
    seen.push(JSON.stringify(request.headers))
    response.end("{}")
  })
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve))
  const { port } = other.address() as AddressInfo
  await against(
    (request, response) => {
      response.writeHead(307, { location: `http://localhost:${port}${request.url}` })
      response.end()
    },
    ["run", "list"]
  )
  other.close()
  expect(!seen.some((headers) => headers.includes("tml-of-the-user")), "the key was sent to another origin")
  return `${seen.length} requests at the other origin, none with the key`
}

/** What the process list and the modes of files show to other accounts. */
const processList = async (): Promise<string> => {
  const directory = makeDirectory()
  writeFileSync(join(directory, "keys"), "tml-secret-of-file\n", { mode: 0o600 })
  return withService(
    async (service) => {
      const commandLine = readFileSync(`/proc/${service.child.pid}/cmdline`, "utf8")
      expect(!commandLine.includes("tml-secret"), "a key is in the process list")
      service.key = "tml-secret-of-file"
      const model_id = await service.model(await service.session())
      await service.run("/save_weights", { model_id, seq_id: 1, path: "x" })
      const mode = statSync(join(directory, "checkpoints")).mode & 0o777
      expect((mode & 0o077) === 0, `others may enter the directory of checkpoints: ${mode.toString(8)}`)
      expect(!service.output().includes("tml-secret"), "a key is printed")
      return `no key in the process list or the output, checkpoints have mode ${mode.toString(8)}`
    },
    { directory, args: ["--keys-file", "keys"], env: { TINKER_SERVE_KEYS: "tml-secret-of-environment" } }
  )
}

export const attacks: ReadonlyArray<Attack> = [
  { name: "terminal escapes in responses", short: false, run: escapes },
  { name: "responses that fill the client's memory", short: false, run: bombs },
  { name: "redirects that ask for the key", short: false, run: redirected },
  { name: "keys in the process list, open files", short: false, run: processList }
]
