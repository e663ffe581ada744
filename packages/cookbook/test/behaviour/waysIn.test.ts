import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Datum from "@effect-tinker/api/Datum"
import * as Logger from "effect/Logger"
import { execFile } from "node:child_process"
import { readFile } from "node:fs/promises"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import * as BadDay from "../../../../examples/src/bad-day.ts"
import * as ChatPage from "../../../../examples/src/chat-page.ts"
import { focal } from "../../../../examples/src/custom-loss.ts"
import * as LanguageModelExample from "../../../../examples/src/language-model.ts"
import { baseModel, listen } from "../utils/scriptedEngine.ts"

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

describe("the chat page over tinker serve", () => {
  it.scopedLive("shows what the model says, and the reason where it cannot", () =>
    Effect.gen(function* () {
      const { url: baseUrl } = yield* listen({ script: (prompt) => (prompt.includes("blue") ? "Rayleigh." : "Hello!") })
      const ask = (model: string | undefined, content: string) =>
        Effect.gen(function* () {
          const server = yield* Effect.acquireRelease(
            Effect.async<ReturnType<typeof ChatPage.makeServer>>((resume) => {
              const server = ChatPage.makeServer({ baseUrl, apiKey: "tml-any", model })
              server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
            }),
            (server) => Effect.async<void>((resume) => void server.close(() => resume(Effect.void)))
          )
          const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
          const page = yield* Effect.promise(async () => (await fetch(url)).text())
          assert.include(page, "<title>Chat</title>")
          const body = JSON.stringify([{ role: "user", content }])
          return yield* Effect.promise(async () => {
            const response = await fetch(`${url}/chat`, { method: "POST", body, headers: { connection: "close" } })
            return { status: response.status, text: await response.text() }
          })
        })
      assert.deepStrictEqual(yield* ask(undefined, "Why is the sky blue?"), { status: 200, text: "Rayleigh." })
      assert.deepStrictEqual(yield* ask(baseModel, "Hi"), { status: 200, text: "Hello!" })
      const unknown = yield* ask("none", "Hi")
      assert.strictEqual(unknown.status, 502)
      assert.include(unknown.text, "none")
    })
  )
})

describe("the custom loss of the examples", () => {
  it("has the gradient that differences have", () => {
    const data = [Datum.fromPromptCompletion([1, 2], [3, 4]), Datum.fromPromptCompletion([1], [2])]
    const logprobs = [[-0.1, -0.7, -2.5], [-1.1]]
    const at = (values: ReadonlyArray<ReadonlyArray<number>>) =>
      focal(
        data,
        values.map((row) => ({ data: Float32Array.from(row), shape: [row.length] }))
      ) as { readonly loss: number; readonly gradients: ReadonlyArray<ReadonlyArray<number>> }
    const { gradients } = at(logprobs)
    for (const [i, row] of logprobs.entries()) {
      for (const [j, value] of row.entries()) {
        const moved = (by: number) => at(logprobs.map((other, k) => (k === i ? other.with(j, value + by) : other))).loss
        assert.approximately(gradients[i]![j]!, (moved(0.01) - moved(-0.01)) / 0.02, 1e-3)
      }
    }
  })
})

describe("the bad day of the examples", () => {
  it.effect("ends with every step applied once", () =>
    Effect.gen(function* () {
      const { applied, losses } = yield* BadDay.program
      assert.lengthOf(losses, 20)
      assert.isBelow(losses.at(-1)!, losses[0]!)
      assert.deepStrictEqual(
        applied.map(({ seq_id }) => seq_id),
        applied.map((_, i) => i)
      )
    }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
  )
})
