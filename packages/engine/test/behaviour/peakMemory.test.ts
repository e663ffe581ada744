import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import * as fixtures from "../utils/fixtures.ts"

const program = fileURLToPath(new URL("../longRuns/peakMemory.ts", import.meta.url))

/** The peak memory in MB of a process that trains on, scores and continues a sequence. */
const peakOf = async (length: number): Promise<number> => {
  const args = ["--conditions=effect-tinker-source", "--import", "tsx", program, String(length), "native"]
  return Number((await promisify(execFile)(process.execPath, args)).stdout)
}

// .ci/nightly has more lengths, and wasm
describe("The peak memory of long sequences", () => {
  it.skipIf(!fixtures.isNativeAvailable)(
    "is far from quadratic in their length",
    async () => {
      const [short, long] = [await peakOf(1024), await peakOf(2048)]
      assert.isBelow(long / short, 2.2, `${short} MB, then ${long} MB`)
      // as one program, 1.9 GB
      assert.isBelow(long, 1024)
    },
    60_000
  )
})
