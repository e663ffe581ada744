import { assert, describe, it } from "@effect/vitest"
import { readFile } from "node:fs/promises"

const root = new URL("../../../../", import.meta.url)

describe("the page on reinforcement learning", () => {
  it("begins with the program of the examples, which is compiled", async () => {
    const page = await readFile(new URL("docs/rl.md", root), "utf8")
    const program = await readFile(new URL("examples/src/rl.ts", root), "utf8")
    assert.strictEqual(/```ts\n([\s\S]*?)```/.exec(page)![1], program)
  })
})
