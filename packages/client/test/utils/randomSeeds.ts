import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { check, replay } from "./randomProgram.ts"

const shard = 100

/** Test cases for a range of seeds; two files share the seeds, so that two cores do. */
export const testSeeds = (start: number, end: number) =>
  describe("randomised programs on bad days", () => {
    for (let from = start; from < end; from += shard) {
      it.effect(
        `apply what was submitted, in order and once, and leave nothing behind: seeds ${from} to ${from + shard - 1}`,
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
