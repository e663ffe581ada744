import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { directory, stubServer } from "../utils/fixtures.ts"
import { start } from "../utils/tinker.ts"

const path = "tinker://8f14e45f-ceea-467f-a9f2-000000000001:train:0/sampler_weights/final"
const run = "8f14e45f-ceea-467f-a9f2-000000000001:train:0"

/** All commands that send requests. */
const all: ReadonlyArray<readonly [command: string, input?: string]> = [
  ["run list"],
  [`run info ${run}`],
  ["checkpoint list"],
  [`checkpoint list --run-id ${run}`],
  [`checkpoint info ${path}`],
  [`checkpoint publish ${path}`],
  [`checkpoint unpublish ${path}`],
  [`checkpoint set-ttl ${path} --ttl 60`],
  [`checkpoint delete ${path} --yes`],
  [`checkpoint delete --run-id ${run} --yes`],
  [`checkpoint download ${path}`],
  [`checkpoint push-hf ${path}`],
  ["session export-trace 8f14e45f-ceea-467f-a9f2-000000000002"],
  ["billing usage 2026-01-01 2026-02-01"],
  ["billing checkpoint-storage"],
  ["model list"],
  ["auth login", "tml-secret\n"],
  ["auth status"],
  ["auth whoami"],
  ["train data.jsonl"],
  ["sample -c " + path + " hello"],
  ["chat", "hello\n"],
  ["doctor"]
]

/** One of each kind: each costs a second, and all are tried at night. */
const commands = process.env["NIGHTLY"] === undefined ? all.filter((_, i) => i % 4 === 2) : all

describe("tinker", () => {
  it.scopedLive(
    "ends every command with 130 on SIGINT while it waits for a response, with no output and no file",
    () =>
      Effect.forEach(
        commands,
        ([command, input]) =>
          Effect.gen(function* () {
            const requested = yield* Deferred.make<void>()
            const url = yield* stubServer((request) => {
              request.resume()
              Deferred.unsafeDone(requested, Effect.void)
            })
            const cwd = yield* directory
            const home = yield* directory
            const records = Array.from({ length: 20 }, (_, i) => `{"prompt":"${i}","completion":"b"}\n`)
            writeFileSync(join(cwd, "data.jsonl"), records.join(""))
            const files = readdirSync(cwd)
            const { child, result, until } = yield* start(command.split(" "), {
              cwd,
              ...(input === undefined ? {} : { input }),
              env: {
                HOME: home,
                HF_ENDPOINT: url,
                HF_TOKEN: "hf_secret",
                TINKER_BASE_URL: url,
                ...(input === "tml-secret\n" ? {} : { TINKER_API_KEY: "tml-secret" })
              }
            })
            // a command that ends without a request prints why
            yield* Effect.race(Deferred.await(requested), Effect.ignore(until(/^Error/m)))
            child.kill("SIGINT")
            const { code, stderr, stdout } = yield* result
            assert.strictEqual(code, 130, `tinker ${command}: ${stderr}`)
            if (!command.startsWith("doctor")) assert.strictEqual(stdout, "", command)
            assert.notInclude(stderr, "secret", command)
            assert.deepStrictEqual(readdirSync(cwd), files, command)
          }).pipe(Effect.scoped),
        { concurrency: 4, discard: true }
      ),
    60_000
  )
})
