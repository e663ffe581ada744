/** Defines the test cases of random programs, for a range of seeds. */
import { afterEach, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { check, replay } from "./randomProgram.ts"

const shard = 20

// programs in virtual time never wait for the event loop, which the test runner needs to report on them
const yieldToEventLoop = () => new Promise<void>((resume) => setImmediate(resume))

/** Programs whose service ends now and then, and starts again. */
export const testMortalSeeds = (start: number, end: number) =>
  describe("a random program whose service is killed", () => {
    afterEach(yieldToEventLoop)
    it.effect(`loses nothing that was acknowledged, and leaves nothing behind: seeds ${start} to ${end - 1}`, () =>
      Effect.gen(function* () {
        for (let seed = start; seed < end; seed++) {
          const { problems } = yield* check(seed, { isMortal: true })
          assert.deepStrictEqual(problems, [], replay(seed, true))
        }
      })
    )
  })

/** Programs under faults, in shards. */
export const testSeeds = (start: number, end: number) =>
  describe("a random program under faults", () => {
    afterEach(yieldToEventLoop)
    for (let from = start; from < end; from += shard) {
      it.effect(
        `has each operation applied once and in order, and leaves nothing behind: seeds ${from} to ${from + shard - 1}`,
        () =>
          Effect.gen(function* () {
            for (let seed = from; seed < from + shard; seed++) {
              const { problems } = yield* check(seed)
              assert.deepStrictEqual(problems, [], replay(seed))
            }
          })
      )
    }
  })
