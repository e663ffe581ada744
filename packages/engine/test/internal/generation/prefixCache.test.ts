import { assert, describe, it } from "@effect/vitest"
import { none } from "../../../src/internal/lora/rowAdapter.ts"
import * as kvCache from "../../../src/internal/model/kvCache.ts"
import type { ModelConfig } from "../../../src/ModelConfig.ts"
import { type Prefix, PrefixCache } from "../../../src/internal/generation/prefixCache.ts"
import * as fixtures from "../../utils/fixtures.ts"
import * as Effect from "effect/Effect"

const prefix = (config: ModelConfig, length: number, first = 0): Prefix => ({
  tokens: Int32Array.from({ length }, (_, i) => first + i),
  cache: kvCache.make(config, 1, 64),
  lastLogits: new Float32Array(1)
})

describe("The prefix cache", () => {
  it.scoped("finds the longest beginning, and the whole only with its logits", () =>
    Effect.gen(function* () {
      const { config } = yield* fixtures.loadQwen()
      const cache = new PrefixCache(2 ** 30, 1)
      cache.add(none, prefix(config, 20))
      cache.add(none, { ...prefix(config, 40), lastLogits: undefined })
      const lengthOf = (tokens: Int32Array) => cache.find(none, tokens)?.length
      assert.strictEqual(lengthOf(prefix(config, 20).tokens), 20)
      assert.strictEqual(lengthOf(prefix(config, 50).tokens), 40)
      assert.strictEqual(lengthOf(prefix(config, 40).tokens), 39)
      assert.isUndefined(lengthOf(prefix(config, 50, 1).tokens))
      assert.isUndefined(cache.find({ ...none }, prefix(config, 20).tokens))
    })
  )

  it.scoped(
    "holds so many bytes at most, and forgets what was not used for longest, and what an adapter read that is gone",
    () =>
      Effect.gen(function* () {
        const { config } = yield* fixtures.loadQwen()
        const bytes = kvCache.bytesOf(prefix(config, 20).cache) + 4
        const cache = new PrefixCache(3 * bytes, 1)
        for (const first of [0, 100, 200]) cache.add(none, prefix(config, 20, first))
        assert.isDefined(cache.find(none, prefix(config, 20, 0).tokens))
        cache.add(none, prefix(config, 20, 300))
        assert.isAtMost(cache.bytes, 3 * bytes)
        assert.isUndefined(cache.find(none, prefix(config, 20, 100).tokens))
        assert.isDefined(cache.find(none, prefix(config, 20, 0).tokens))
        cache.forget(none)
        assert.strictEqual(cache.bytes, 0)
      })
  )
})
