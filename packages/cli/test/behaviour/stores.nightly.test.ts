import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { directory } from "../utils/fixtures.ts"
import * as postgres from "../utils/postgres.ts"
import { type Options, run, start } from "../utils/tinker.ts"

const withoutLibsql = fileURLToPath(new URL("../utils/withoutLibsql.cjs", import.meta.url))

const examples = Array.from({ length: 8 }, (_, i) => `{"prompt":"a${i}","completion":" b"}\n`).join("")

/** Starts `tinker serve`; returns the environment of a client. */
const serve = (args: ReadonlyArray<string>, options: Options) =>
  Effect.gen(function* () {
    const serving = yield* start(["-f", "json", "serve", "--port", "0", ...args], { ...options })
    const [text] = yield* serving.until(/^\{[\s\S]*\}\n$/)
    const { TINKER_API_KEY, TINKER_BASE_URL } = JSON.parse(text)
    return { serving, env: { TINKER_BASE_URL, TINKER_API_KEY } as { readonly [name: string]: string } }
  })

const paths = (env: Options["env"] & {}) =>
  Effect.map(run(["-f", "json", "checkpoint", "list"], { env }), ({ stdout }) =>
    (JSON.parse(stdout).checkpoints as ReadonlyArray<{ readonly tinker_path: string }>)
      .map(({ tinker_path }) => tinker_path)
      .sort()
  )

// with the real engine
describe("processes of the command", () => {
  it.scopedLive(
    "train and sample side by side in one directory, which a copy of the store has all of",
    () =>
      Effect.gen(function* () {
        const cwd = yield* directory
        writeFileSync(`${cwd}/data.jsonl`, examples)
        const train = ["train", "data.jsonl", "--steps", "2", "--batch-size", "2", "--rank", "1"]
        const [{ serving, env }, trained, sampled] = yield* Effect.all(
          [
            serve([], { cwd }),
            run(train, { cwd }),
            run(["sample", "hello", "--max-tokens", "2", "--no-stream"], { cwd })
          ],
          { concurrency: "unbounded" }
        )
        assert.strictEqual(trained.code, 0, trained.stderr)
        assert.strictEqual(sampled.code, 0, sampled.stderr)
        const saved = yield* paths(env)
        const [weights] = /tinker:\/\/\S+\/sampler_weights\/final/.exec(trained.stdout)!
        assert.include(saved, weights)
        const copied = yield* run(["-f", "json", "serve", "--backup", "copy"], { cwd })
        assert.strictEqual(copied.code, 0, copied.stderr)
        assert.strictEqual(JSON.parse(copied.stdout).checkpoints, saved.length)
        const again = yield* run(["serve", "--backup", "copy"], { cwd })
        assert.strictEqual(again.code, 1)
        assert.match(again.stderr, /^Error: The store was not copied[\s\S]*copy exists/)
        serving.child.kill("SIGTERM")
        yield* serving.result
        rmSync(`${cwd}/checkpoints`, { recursive: true })
        const restored = yield* serve(["--checkpoints", "copy"], { cwd })
        assert.deepStrictEqual(yield* paths(restored.env), saved)
        const args = ["sample", "hello", "-c", weights, "--max-tokens", "2", "--no-stream"]
        const from = yield* run(args, { cwd, env: restored.env })
        assert.strictEqual(from.code, 0, from.stderr)
      }),
    120_000
  )

  it.scopedLive(
    "serve side by side on one PostgreSQL database, whose URL is not printed",
    () =>
      Effect.gen(function* () {
        const url = yield* postgres.make
        if (!url.startsWith("postgres://")) return void process.stderr.write(`skipped: ${url}\n`)
        const cwd = yield* directory
        const [one, two] = yield* Effect.all(
          [serve(["--database", url], { cwd }), serve([], { cwd, env: { TINKER_DATABASE_URL: url } })],
          { concurrency: "unbounded" }
        )
        const body = JSON.stringify({ tags: [], user_metadata: {}, sdk_version: "test" })
        const headers = { "content-type": "application/json" }
        const created = yield* Effect.promise(() =>
          fetch(`${one.env["TINKER_BASE_URL"]}/api/v1/create_session`, { method: "POST", headers, body }).then(
            (response) => response.json() as Promise<{ readonly session_id: string }>
          )
        )
        const listed = yield* Effect.promise(() =>
          fetch(`${two.env["TINKER_BASE_URL"]}/api/v1/sessions`).then((response) => response.text())
        )
        assert.include(listed, created.session_id)
        assert.isFalse(existsSync(`${cwd}/checkpoints/tinker.db`))
        const refused = yield* run(["serve", "--backup", "copy", "--database", url], { cwd })
        assert.strictEqual(refused.code, 1)
        assert.include(refused.stderr, "pg_dump")
        for (const { serving } of [one, two]) {
          serving.child.kill("SIGTERM")
          const { stderr, stdout } = yield* serving.result
          assert.notInclude(stdout + stderr, url)
        }
        const wrong = yield* run(["serve", "--port", "0", "--database", "postgres://nobody@127.0.0.1:1/none"], {
          cwd
        })
        assert.strictEqual(wrong.code, 1)
        assert.match(wrong.stderr, /^Error: [^\n]*the database cannot be reached/)
      }),
    120_000
  )

  it.scopedLive(
    "keep records in memory where SQLite's binary is not installed, say so, and store checkpoints",
    () =>
      Effect.gen(function* () {
        const cwd = yield* directory
        writeFileSync(`${cwd}/data.jsonl`, examples)
        const env = { NODE_OPTIONS: `--require=${withoutLibsql}` }
        const train = ["train", "data.jsonl", "--steps", "1", "--batch-size", "2", "--rank", "1"]
        const { code, stderr } = yield* run(train, { cwd, env })
        assert.strictEqual(code, 0, stderr)
        assert.match(
          stderr,
          /SQLite is not installed for this platform: sessions, runs, usage and the audit log are kept/
        )
        assert.notInclude(readdirSync(`${cwd}/checkpoints`), "tinker.db")
        const next = yield* serve([], { cwd, env })
        assert.isAtLeast((yield* paths(next.env)).length, 1)
      }),
    120_000
  )
})
