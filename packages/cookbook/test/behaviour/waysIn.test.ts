import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import * as LanguageModelExample from "../../../../examples/src/language-model.ts"
import { listen } from "../utils/scriptedEngine.ts"

const root = new URL("../../../../", import.meta.url)
const read = (path: string) => Effect.promise(() => readFile(new URL(path, root), "utf8"))

/** The first program of a page. */
const firstProgram = (page: string) => /```ts\n([\s\S]*?)```/.exec(page)![1]!

describe("the way in by @effect/ai", () => {
  it.live(
    "uses at once what was trained, in at most 60 lines, which the docs show",
    () =>
      Effect.gen(function* () {
        const { after, before } = yield* LanguageModelExample.program
        assert.notStrictEqual(before, after)
        assert.strictEqual(after, "A small model that was trained just now.")
        const source = yield* read("examples/src/language-model.ts")
        assert.isAtMost(source.trimEnd().split("\n").length, 60)
        assert.strictEqual(firstProgram(yield* read("docs/effect-ai.md")), source)
      }).pipe(Effect.provide(LanguageModelExample.ServiceLive)),
    60_000
  )
})

describe("the way in by the client of OpenAI", () => {
  it.scopedLive(
    "prints what the model says, by the program that the docs show",
    () =>
      Effect.gen(function* () {
        const { url } = yield* listen({ script: () => "Because of Rayleigh." })
        const env = { ...process.env, OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: "tml-any" }
        const args = ["--import", "tsx", fileURLToPath(new URL("examples/src/openai.ts", root))]
        const out = yield* Effect.async<string, Error>((resume) => {
          execFile(process.execPath, args, { env, cwd: fileURLToPath(root) }, (error, stdout) =>
            resume(error === null ? Effect.succeed(stdout) : Effect.fail(error))
          )
        })
        assert.strictEqual(out, "Because of Rayleigh.")
        assert.strictEqual(firstProgram(yield* read("docs/openai.md")), yield* read("examples/src/openai.ts"))
      }),
    30_000
  )
})
