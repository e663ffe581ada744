import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { directory, scripted } from "../../utils/scripted.ts"
import { type Result, run } from "../../utils/tinker.ts"

const key = "tml-a-key-to-be-stored"
const details = { org_details: { name: "Analytical Engines" }, user_details: { email: "ada@example.com" } }

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
const token = `${base64({ alg: "HS256", typ: "JWT" })}.${base64({ sub: "tml:user:7", email: "ada@example.com", org_id: "3", exp: 4e9 })}.x`

/** A service that knows one key, and what was asked of it. */
const makeService = Effect.gen(function* () {
  const asked: Array<string> = []
  const url = yield* scripted((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    const known = request.headers["x-api-key"] === key || request.headers["x-api-key"] === token
    response.setHeader("content-type", "application/json")
    if (request.url === "/api/v1/auth/apikey/me" && known) {
      if (request.method === "DELETE") response.writeHead(204).end()
      else response.end(JSON.stringify({ key_id: 12, name: "laptop", note: "mine", details }))
    } else if (request.url === "/api/v1/get_server_capabilities" && known) {
      response.end(JSON.stringify({ supported_models: [] }))
    } else response.writeHead(known ? 404 : 401).end(JSON.stringify({ detail: `no: ${request.headers["x-api-key"]}` }))
  })
  return { asked, url }
})

const failed = ({ code, stderr }: Result, message: string): void => {
  assert.match(stderr, /^(?:Create[^\n]*\nPaste it here: \n)?Error: [^\n]+\n$/)
  assert.include(stderr, message)
  assert.strictEqual(code, 1)
}

describe("tinker auth", () => {
  it.scopedLive("login stores a key for all commands and programs, logout removes it", () =>
    Effect.gen(function* () {
      const service = yield* makeService
      const HOME = yield* directory
      const file = join(HOME, ".tinker", "credentials.json")
      const tinker = (args: ReadonlyArray<string>, input = "") =>
        run(args, { env: { HOME, TINKER_BASE_URL: service.url }, input })

      const before = yield* tinker(["auth", "status"])
      assert.strictEqual(before.stdout, "Credentials available: no\n")
      failed(before, "TINKER_API_KEY")
      failed(yield* tinker(["auth", "login"]), "must not be empty")
      failed(yield* tinker(["auth", "login"], "tml-another-key\n"), "Could not validate the API key")
      assert.isFalse(existsSync(file))

      const login = yield* tinker(["auth", "login"], `${key}\n`)
      assert.strictEqual(login.code, 0, login.stderr)
      assert.strictEqual(
        login.stdout,
        "Logged in as ada@example.com (Analytical Engines). Stored API key 'laptop' as the default credential.\n"
      )
      assert.match(login.stderr, /^Create an API key: https:\/\/\S+\/keys\?new_key=true&key_name=tinker-cli-\S+\n/)
      assert.notInclude(login.stdout + login.stderr, key)
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      assert.strictEqual(statSync(join(HOME, ".tinker")).mode & 0o777, 0o700)
      // what the Python command reads
      assert.deepStrictEqual(JSON.parse(readFileSync(file, "utf8")), {
        version: 1,
        default: "12",
        keys: { 12: { type: "manual", key, name: "laptop", note: "mine", details } }
      })

      failed(yield* tinker(["auth", "login"], `${key}\n`), "Already logged in")
      const after = yield* tinker(["-f", "json", "auth", "status"])
      assert.deepStrictEqual(JSON.parse(after.stdout), { credentials_available: true, accessible: true })
      failed(yield* tinker(["auth", "whoami"]), "Error: ")

      const logout = yield* tinker(["auth", "logout"])
      assert.match(
        logout.stdout,
        /^Removed credential 'laptop'\. The API key is still active; delete it at \S+\/keys\/12\n$/
      )
      assert.deepStrictEqual(JSON.parse(readFileSync(file, "utf8")), { version: 1, keys: {} })
      failed(yield* tinker(["auth", "logout"]), "No default credential is stored")
      assert.notInclude(service.asked, "DELETE /api/v1/auth/apikey/me")
    })
  )

  it.scopedLive("logout deletes a key that was made for this machine alone, and leaves others", () =>
    Effect.gen(function* () {
      const service = yield* makeService
      const HOME = yield* directory
      const file = join(HOME, ".tinker", "credentials.json")
      mkdirSync(join(HOME, ".tinker"))
      const other = { type: "manual", key: "tml-other", name: "other", later: [1] }
      const generated = { type: "generated", key, name: "made", details }
      const tinker = (args: ReadonlyArray<string>, url: string) =>
        run(args, { env: { HOME, TINKER_BASE_URL: url, TINKER_API_KEY: "tml-of-the-environment" } })

      writeFileSync(file, JSON.stringify({ version: 1, default: "1", keys: { 1: generated, 2: other } }))
      const logout = yield* tinker(["-f", "json", "auth", "logout"], service.url)
      assert.deepStrictEqual(JSON.parse(logout.stdout), { key_id: "1", name: "made", deleted: true })
      assert.include(service.asked, "DELETE /api/v1/auth/apikey/me")
      assert.deepStrictEqual(JSON.parse(readFileSync(file, "utf8")), { version: 1, keys: { 2: other } })

      // the local credential goes in any case
      writeFileSync(file, JSON.stringify({ default: "1", keys: { 1: { ...generated, key: "tml-unknown-key" } } }))
      const refused = yield* tinker(["auth", "logout"], service.url)
      failed(refused, "Could not delete the API key on the server")
      assert.notInclude(refused.stderr, "tml-unknown-key")
      assert.deepStrictEqual(JSON.parse(readFileSync(file, "utf8")), { version: 1, keys: {} })

      writeFileSync(file, `{"keys": "${key}"`)
      const broken = yield* tinker(["auth", "logout"], service.url)
      failed(broken, "does not hold stored keys")
      assert.notInclude(broken.stderr, key)
    })
  )

  it.scopedLive("whoami reads a token", () =>
    Effect.gen(function* () {
      const service = yield* makeService
      const env = { TINKER_API_KEY: token, TINKER_BASE_URL: service.url }
      const { code, stderr, stdout } = yield* run(["-f", "json", "auth", "whoami"], { env })
      assert.strictEqual(stderr, "")
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(JSON.parse(stdout), {
        email: "ada@example.com",
        user_urn: "tml:user:7",
        org_urn: "tml:organization:3"
      })
    })
  )
})
