import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { promisify } from "node:util"

const examples = fileURLToPath(new URL("../../../../examples/src/", import.meta.url))
const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href

/**
 * Runs an example as a person does, in an empty directory, and gives what it printed. It does not block the thread, which
 * has to answer vitest.
 */
const run = async (name: string) => {
  const cwd = mkdtempSync(join(tmpdir(), "tinker-example-"))
  try {
    const env: NodeJS.ProcessEnv = { ...process.env, NODE_NO_WARNINGS: "1" }
    for (const key of Object.keys(env)) if (key.startsWith("TINKER_")) delete env[key]
    const args = ["--conditions=effect-tinker-source", "--import", tsx, join(examples, name)]
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd, env })
    return stdout
  } finally {
    rmSync(cwd, { recursive: true, force: true })
  }
}

const numbersOf = (text: string, pattern: RegExp) => Array.from(text.matchAll(pattern), ([, number]) => Number(number))

describe("the examples", { timeout: 300_000 }, () => {
  it("train with a loss of one's own", async () => {
    const losses = numbersOf(await run("custom-loss.ts"), /focal loss ([\d.]+)/g)
    assert.lengthOf(losses, 12)
    assert.isBelow(losses.at(-1)!, losses[0]! / 2)
  })

  it("go on after a kill, with equal losses", async () => {
    const out = await run("kill-and-resume.ts")
    assert.include(out, "ended by SIGKILL")
    assert.include(out, "12 steps; the losses are equal to the bit")
  })

  it("find the better of two checkpoints", async () => {
    const out = await run("compare-checkpoints.ts")
    const [short, long] = /after 20 steps ([\d.]+), after 80 steps ([\d.]+)/.exec(out)!.slice(1).map(Number)
    assert.isAbove(long!, short!)
    assert.isBelow(Number(/p = ([\d.]+)/.exec(out)![1]), 0.05)
  })

  it("train an agent by its reward", async () => {
    const rewards = numbersOf(await run("agent.ts"), /reward ([\d.-]+)/g)
    assert.lengthOf(rewards, 6)
    assert.isAbove(rewards.at(-1)!, rewards[0]! + 0.1)
  })
})
