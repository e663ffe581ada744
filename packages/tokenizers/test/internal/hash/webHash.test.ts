import { assert, describe, it } from "@effect/vitest"
import * as nodeHash from "../../../src/internal/hash/nodeHash.ts"
import * as webHash from "../../../src/internal/hash/webHash.ts"

const bytes = Uint8Array.from({ length: 400 }, (_, i) => (i * 167 + (i >> 3)) & 255)

describe("webHash", () => {
  for (const algorithm of ["sha1", "sha256"] as const) {
    it(`computes ${algorithm} as Node does, for every length and however the bytes are split`, () => {
      for (let length = 0; length <= bytes.length; length++) {
        const [expected, whole, split] = [nodeHash.make(algorithm), webHash.make(algorithm), webHash.make(algorithm)]
        const part = bytes.subarray(0, length)
        expected.update(part)
        whole.update(part)
        for (let at = 0; at < length; at += 1 + (at % 90)) split.update(part.subarray(at, at + 1 + (at % 90)))
        const digest = expected.digest()
        assert.strictEqual(whole.digest(), digest)
        assert.strictEqual(split.digest(), digest)
      }
    })
  }
})
