import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { bundleProgram } from "../../../../scripts/bundle-program.mjs"
import * as fixtures from "../utils/fixtures.ts"

const program = fileURLToPath(new URL("../longRuns/peakMemory.ts", import.meta.url))

/** The peak memory in MB of a process that trains on, scores and continues a sequence; and the engine's estimate. */
const measure = async (length: number): Promise<{ readonly peak: number; readonly estimate: number }> => {
  const args = [await bundleProgram(program), String(length), "native"]
  return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout)
}

// a program of its own has more lengths, and wasm
describe("The peak memory of long sequences", () => {
  it.skipIf(!fixtures.isNativeAvailable)(
    "is far from quadratic in their length",
    async () => {
      const [short, long] = [await measure(1024), await measure(2048)]
      assert.isBelow(long.peak / short.peak, 2.2, `${short.peak} MB, then ${long.peak} MB`)
      // as one program, 1.9 GB
      assert.isBelow(long.peak, 1024)
      for (const { estimate, peak } of [short, long]) assert.isTrue(estimate > peak / 1.2 && estimate < 3 * peak)
    },
    60_000
  )
})
