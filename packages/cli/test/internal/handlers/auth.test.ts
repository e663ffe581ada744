import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { directory, stubServer } from "../../utils/fixtures.ts"
import { type Result, run } from "../../utils/tinker.ts"

const key = "tml-a-key-to-be-stored"
const details = { org_details: { name: "Analytical Engines" }, user_details: { email: "ada@example.com" } }

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
const token = `${base64({ alg: "HS256", typ: "JWT" })}.${base64({ sub: "tml:user:7", email: "ada@example.com", org_id: "3", exp: 4e9 })}.x`

/** A service that accepts one key, and the requests it received. */
const makeService = Effect.gen(function* () {
  const requests: Array<string> = []
  const url = yield* stubServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    const known = request.headers["x-api-key"] === key || request.headers["x-api-key"] === token
    response.setHeader("content-type", "application/json")
    if (request.url === "/api/v1/auth/apikey/me" && known) {
      if (request.method === "DELETE") response.writeHead(204).end()
      else response.end(JSON.stringify({ key_id: 12, name: "laptop", note: "mine", details }))
    } else if (request.url === "/api/v1/get_server_capabilities" && known) {
      response.end(JSON.stringify({ supported_models: [] }))
    } else response.writeHead(known ? 404 : 401).end(JSON.stringify({ detail: `no: ${request.headers["x-api-key"]}` }))
  })
  return { requests, url }
})

/** Asserts that a command failed with one line on standard error, perhaps after the prompt for a key. */
const failedAfterPrompt = ({ code, stderr }: Result, message: string): void => {
  assert.match(stderr, /^(?:Create[^\n]*\nPaste it here: \n)?Error: [^\n]+\n$/)
  assert.include(stderr, message)
  assert.strictEqual(code, 1)
}

describe("tinker auth", () => {
  it.scopedLive("login stores a key for all commands and programs, and logout removes it", () =>
    Effect.gen(function* () {
      const service = yield* makeService
      const HOME = yield* directory
      const file = join(HOME, ".tinker", "credentials.json")
      const tinker = (args: ReadonlyArray<string>, input = "") =>
        run(args, { env: { HOME, TINKER_BASE_URL: service.url }, input })

      const before = yield* tinker(["auth", "status"])
      assert.strictEqual(before.stdout, "Credentials available: no\n")
      failedAfterPrompt(before, "TINKER_API_KEY")
      failedAfterPrompt(yield* tinker(["auth", "login"]), "must not be empty")
      failedAfterPrompt(yield* tinker(["auth", "login"], "tml-another-key\n"), "Could not validate the API key")
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

      failedAfterPrompt(yield* tinker(["auth", "login"], `${key}\n`), "Already logged in")
      const after = yield* tinker(["-f", "json", "auth", "status"])
      assert.deepStrictEqual(JSON.parse(after.stdout), { credentials_available: true, accessible: true })
      failedAfterPrompt(yield* tinker(["auth", "whoami"]), "Error: ")

      const logout = yield* tinker(["auth", "logout"])
      assert.match(
        logout.stdout,
        /^Removed credential 'laptop'\. The API key is still active; delete it at \S+\/keys\/12\n$/
      )
      assert.deepStrictEqual(JSON.parse(readFileSync(file, "utf8")), { version: 1, keys: {} })
      failedAfterPrompt(yield* tinker(["auth", "logout"]), "No default credential is stored")
      assert.notInclude(service.requests, "DELETE /api/v1/auth/apikey/me")
    })
  )

  it.scopedLive("logout deletes a generated key on the server, and keeps the other keys", () =>
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
      assert.include(service.requests, "DELETE /api/v1/auth/apikey/me")
      assert.deepStrictEqual(JSON.parse(readFileSync(file, "utf8")), { version: 1, keys: { 2: other } })

      // the local credential is removed even if the server rejects the deletion
      writeFileSync(file, JSON.stringify({ default: "1", keys: { 1: { ...generated, key: "tml-unknown-key" } } }))
      const rejected = yield* tinker(["auth", "logout"], service.url)
      failedAfterPrompt(rejected, "Could not delete the API key on the server")
      assert.notInclude(rejected.stderr, "tml-unknown-key")
      assert.deepStrictEqual(JSON.parse(readFileSync(file, "utf8")), { version: 1, keys: {} })

      writeFileSync(file, `{"keys": "${key}"`)
      const broken = yield* tinker(["auth", "logout"], service.url)
      failedAfterPrompt(broken, "does not hold stored keys")
      assert.notInclude(broken.stderr, key)
    })
  )

  it.scopedLive("login and logout keep a symbolic link and unknown fields, and tighten loose permissions", () =>
    Effect.gen(function* () {
      const service = yield* makeService
      const HOME = yield* directory
      const file = join(HOME, "dotfiles.json")
      const link = join(HOME, ".tinker", "credentials.json")
      const content = { version: 1, theme: "dark", keys: { 2: { type: "manual", key: "tml-other", name: "other" } } }
      mkdirSync(join(HOME, ".tinker"))
      writeFileSync(file, JSON.stringify(content))
      chmodSync(file, 0o644)
      symlinkSync("../dotfiles.json", link)
      const tinker = (args: ReadonlyArray<string>, input = "") =>
        run(args, { env: { HOME, TINKER_BASE_URL: service.url }, input })

      const login = yield* tinker(["auth", "login"], `${key}\n`)
      assert.strictEqual(login.code, 0, login.stderr)
      assert.include(login.stderr, `warn: ${link} is open to other users of this machine`)
      assert.strictEqual(readlinkSync(link), "../dotfiles.json")
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      const after = JSON.parse(readFileSync(file, "utf8"))
      assert.deepInclude(after, { theme: "dark", default: "12" })
      assert.deepStrictEqual(after.keys[2], content.keys[2])

      const logout = yield* tinker(["auth", "logout"])
      assert.strictEqual(logout.stderr, "")
      assert.strictEqual(readlinkSync(link), "../dotfiles.json")
      assert.deepStrictEqual(JSON.parse(readFileSync(file, "utf8")), content)
    })
  )

  it.scopedLive("reads and changes no file of another version, and names the version", () =>
    Effect.gen(function* () {
      const service = yield* makeService
      const HOME = yield* directory
      const file = join(HOME, ".tinker", "credentials.json")
      const content = JSON.stringify({ version: 2, default: "1", keys: { 1: { key, name: "made" } } })
      mkdirSync(join(HOME, ".tinker"))
      writeFileSync(file, content)
      for (const command of ["login", "logout", "status", "whoami"]) {
        const result = yield* run(["auth", command], { env: { HOME, TINKER_BASE_URL: service.url }, input: `${key}\n` })
        assert.include(result.stderr, "is of version 2, and this release knows version 1")
        assert.strictEqual(result.code, 1)
      }
      assert.strictEqual(readFileSync(file, "utf8"), content)
    })
  )

  it.scopedLive("whoami prints the user and the organization of a token", () =>
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
