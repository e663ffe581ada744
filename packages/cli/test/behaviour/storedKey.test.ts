import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { directory } from "../utils/fixtures.ts"
import { run } from "../utils/tinker.ts"

const hosted = "tinker.thinkingmachines.dev:443"
const record = JSON.stringify({ prompt: "walk ->", completion: " walked\n" })

/** A proxy that refuses every tunnel, and notes where to; it stops with the scope. */
const refusingProxy = Effect.gen(function* () {
  const asked: Array<string | undefined> = []
  const server = yield* Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const server = createServer()
      server.on("connect", (request, socket) => {
        asked.push(request.url)
        socket.end("HTTP/1.1 403 Forbidden\r\n\r\n")
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
})

const home = (keys: string) =>
  Effect.map(directory, (HOME) => {
    mkdirSync(join(HOME, ".tinker"), { mode: 0o700 })
    writeFileSync(join(HOME, ".tinker", "credentials.json"), keys, { mode: 0o600 })
    return HOME
  })

const stored = JSON.stringify({
  version: 1,
  default: "12",
  keys: { 12: { type: "manual", key: "tml-stored", name: "a" } }
})

describe("a stored key", () => {
  for (const args of [["sample", "walk ->"], ["chat"], ["train", "data.jsonl"], ["run", "list"]]) {
    it.scopedLive(`sends "tinker ${args.join(" ")}" to the hosted service, and starts no embedded one`, () =>
      Effect.gen(function* () {
        const cwd = yield* directory
        writeFileSync(join(cwd, "data.jsonl"), `${record}\n`.repeat(4))
        const proxy = yield* refusingProxy
        const env = { HOME: yield* home(stored), HTTPS_PROXY: proxy.url }
        const { code, stderr } = yield* run(args, { cwd, env, input: "walk ->\n" })
        assert.include(proxy.asked, hosted, stderr)
        assert.include(stderr, `the proxy ${proxy.url} (HTTPS_PROXY)`)
        assert.strictEqual(code, 1)
        assert.isFalse(existsSync(join(cwd, "checkpoints")))
      })
    )
  }

  it.scopedLive("that cannot be read is an error that names its file, and no reason to use another service", () =>
    Effect.gen(function* () {
      const HOME = yield* home("{")
      const { code, stderr } = yield* run(["sample", "walk ->"], { cwd: yield* directory, env: { HOME } })
      assert.include(stderr, `${HOME}/.tinker/credentials.json does not hold stored keys`)
      assert.strictEqual(code, 1)
    })
  )
})
