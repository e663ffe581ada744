/** Archives of checkpoints from a hostile service, and redirects of their downloads. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { createGzip } from "node:zlib"
import { type Attack, expect, isShort } from "./attack.ts"
import { collect, makeDirectory, tinker } from "./service.ts"
import { complete, type Entry, record, tar } from "./tar.ts"

const key = "tml-of-the-user"

const listen = async (respond: Http.RequestListener): Promise<Http.Server & { readonly at: string }> => {
  const server = Http.createServer(respond)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return Object.assign(server, { at: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}

/** Downloads a checkpoint from a service whose archive is at `location`. */
const download = async (locationOf: (service: string) => string, respond: Http.RequestListener) => {
  const service = await listen((request, response) => {
    if (!request.url!.endsWith("/archive")) return respond(request, response)
    const location = locationOf(service.at)
    response.writeHead(302, { location, "content-type": "application/json", expires: "Thu, 01 Jan 2099 00:00:00 GMT" })
    response.end(JSON.stringify({ url: location }))
  })
  const cwd = makeDirectory()
  mkdirSync(join(cwd, "in"))
  const child = tinker(["checkpoint", "download", "tinker://run/weights/x"], {
    cwd: join(cwd, "in"),
    env: { TINKER_BASE_URL: service.at, TINKER_API_KEY: key, HOME: cwd }
  })
  const result = await collect(child)
  service.closeAllConnections()
  service.close()
  return { ...result, cwd, around: readdirSync(cwd), inside: readdirSync(join(cwd, "in"), { recursive: true }) }
}

const megabytes = 2 ** 20

/** A compressed file of zeros, which is larger than any checkpoint. */
const bomb = (): Promise<Buffer> =>
  new Promise((resolve) => {
    const gzip = createGzip({ level: 9 })
    const chunks: Array<Buffer> = []
    gzip.on("data", (chunk: Buffer) => void chunks.push(chunk))
    gzip.on("end", () => resolve(Buffer.concat(chunks)))
    // the header promises more than the default limit of a download
    gzip.write(tar({ name: "zeros", size: 8 ** 11 - 1 }).subarray(0, 512))
    for (let i = 0; i < (isShort ? 8 : 64); i++) gzip.write(Buffer.alloc(16 * megabytes))
    gzip.end()
  })

const outside = "/tmp/effect-tinker-attack-outside"

const hostile: Readonly<Record<string, ReadonlyArray<Entry>>> = {
  "a symbolic link": [{ name: "l", type: "2", link: outside }, { name: "l/x", content: "x" }, complete],
  "a hard link": [{ name: "l", type: "1", link: "/etc/passwd" }, complete],
  "the parent": [{ name: "../x", content: "x" }, complete],
  "the parent in an extended header": [
    { name: "h", type: "x", content: record("path", "../../x") },
    { name: "fine", content: "x" },
    complete
  ],
  "an absolute name": [{ name: outside, content: "x" }, complete],
  "a device": [{ name: "d", type: "3" }, complete],
  "the same file twice": [{ name: "a", content: "1" }, { name: "a", content: "2" }, complete],
  "a file as a directory": [{ name: "a", content: "1" }, { name: "a/b", content: "2" }, complete],
  "a size beyond the end": [{ name: "a", size: 2 ** 30, content: "1" }],
  "a size beyond all numbers in an extended header": [
    { name: "h", type: "x", content: record("size", "9".repeat(40)) },
    { name: "a", content: "x" },
    complete
  ],
  "an endless extended header": [{ name: "h", type: "x", size: 2 ** 31, content: "x" }],
  "ten thousand directories deep": [
    { name: "h", type: "x", content: record("path", "d/".repeat(10_000) + "x") },
    { name: "x", content: "x" },
    complete
  ],
  "escapes in a name": [{ name: "a\u001b]0;owned\u0007\u202e/../../x", content: "x" }, complete]
}

const archives = async (): Promise<string> => {
  rmSync(outside, { recursive: true, force: true })
  const bytes: Array<readonly [string, Buffer]> = Object.entries(hostile).map(([name, entries]) => [
    name,
    tar(...entries)
  ])
  bytes.push(["a bomb", await bomb()], ["noise", Buffer.from("x".repeat(5000))], ["nothing", Buffer.alloc(0)])
  bytes.push(["no end", tar({ name: "a", content: "1" }).subarray(0, -1024)])
  const refused: Array<string> = []
  const one = async ([name, archive]: readonly [string, Buffer]): Promise<void> => {
    const { around, code, inside, stderr, stdout } = await download(
      (service) => `${service}/files/x.tar`,
      (request, response) => {
        response.writeHead(request.url === "/files/x.tar" ? 200 : 404, { "content-length": archive.length })
        response.end(archive)
      }
    )
    const output = stdout + stderr
    expect(code === 1, `${name}: the command ends with ${code}: ${output.slice(0, 200)}`)
    expect(inside.length === 0, `${name}: it leaves ${inside.join()}`)
    expect(!existsSync(outside) && !around.includes("x"), `${name}: it is written outside of the directory`)
    // oxlint-disable-next-line no-control-regex
    expect(!/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/.test(output), `${name}: raw escapes are printed`)
    expect(!/\n\s+at /.test(output), `${name}: a defect: ${output.slice(0, 300)}`)
    refused.push(name)
  }
  for (let i = 0; i < bytes.length; i += 3) await Promise.all(bytes.slice(i, i + 3).map(one))
  return `${refused.length} archives are refused, and nothing of them is left`
}

/** The archive is at another origin, which sends the client on to a third. */
const followed = async (): Promise<string> => {
  const seen: Array<string> = []
  const archive = tar({ name: "adapter_config.json", content: "{}" }, complete)
  const third = await listen((request, response) => {
    seen.push(JSON.stringify([request.url, request.headers]))
    response.writeHead(200, { "content-length": archive.length })
    response.end(archive)
  })
  const second = await listen((request, response) => {
    seen.push(JSON.stringify([request.url, request.headers]))
    response.writeHead(307, { location: `${third.at}/on` })
    response.end()
  })
  const { inside, stderr } = await download(
    () => `${second.at}/files/x.tar`,
    (_, response) => void response.writeHead(404).end("{}")
  )
  for (const server of [second, third]) server.close()
  expect(seen.length >= 2, `the client followed ${seen.length} of 2 redirects: ${stderr.slice(0, 200)}`)
  expect(!seen.some((text) => text.includes(key)), "the key was sent to another origin")
  const downloaded = inside.some((name) => String(name).endsWith("adapter_config.json"))
  return `the download followed two redirects to other origins without the key, and ${downloaded ? "ended well" : "was refused"}`
}

/** A directory of the user's that a download would replace stays. */
const replaced = async (): Promise<string> => {
  const archive = tar({ name: "a", content: "1" }, complete)
  const cwd = makeDirectory()
  const service = await listen((request, response) => {
    const location = `${service.at}/files/x.tar`
    if (request.url!.endsWith("/archive")) response.writeHead(302, { location }).end(JSON.stringify({ url: location }))
    else if (request.url === "/files/x.tar") response.end(archive)
    else response.writeHead(404).end("{}")
  })
  const env = { TINKER_BASE_URL: service.at, TINKER_API_KEY: key }
  const first = await collect(tinker(["checkpoint", "download", "tinker://run/weights/x"], { cwd, env }))
  const [name = ""] = readdirSync(cwd)
  expect(first.code === 0 && name !== "", `a plain download ends with ${first.code}: ${first.stderr.slice(0, 200)}`)
  writeFileSync(join(cwd, name, "mine"), "of the user")
  const second = await collect(tinker(["checkpoint", "download", "tinker://run/weights/x"], { cwd, env }))
  service.close()
  expect(second.code === 1, `a second download ends with ${second.code}`)
  expect(existsSync(join(cwd, name, "mine")), "a file of the user was removed")
  return `a second download is refused: ${second.stderr.trim().slice(0, 120)}`
}

export const attacks: ReadonlyArray<Attack> = [
  { name: "hostile archives of checkpoints", short: false, run: archives },
  { name: "redirects that a download follows", short: true, run: followed },
  { name: "a download over a directory of the user", short: false, run: replaced }
]
