import * as ModelInput from "@effect-tinker/api/ModelInput"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as codec from "../../../src/internal/trajectories/codec.ts"
import type { Trajectory, Turn } from "../../../src/internal/trajectories/model.ts"

const tokens = FastCheck.array(FastCheck.nat(9), { maxLength: 4 }).map((values) => Int32Array.from(values))

const turns = FastCheck.array(
  FastCheck.record({
    added: tokens,
    said: tokens,
    continues: FastCheck.boolean(),
    masked: FastCheck.boolean(),
    reward: FastCheck.oneof(FastCheck.double(), FastCheck.constantFrom(Number.NaN, -Infinity))
  }),
  { maxLength: 4 }
).map((parts) => {
  const made: Array<Turn> = []
  let before: ReadonlyArray<number> = []
  for (const { added, continues, masked, reward, said } of parts) {
    const given = [...(continues ? before : []), ...added]
    const logprobs = Float32Array.from(said, (token) => -Math.exp(token) / 3)
    const action = { tokens: said, logprobs, stop_reason: "stop" }
    made.push({ observation: ModelInput.fromTokens(given), action, reward, masked, metrics: { m: reward } })
    before = [...given, ...said]
  }
  return made
})

const plain = ({ turns, ...rest }: Trajectory) => ({
  ...rest,
  turns: turns.map(({ observation, ...turn }) => ({ ...turn, given: Array.from(ModelInput.toTokens(observation)) }))
})

describe("the codec of trajectories", () => {
  it.effect("brings back every number, also of turns that repeat each other", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(turns, FastCheck.float(), (turns, reward) => {
          const trajectory: Trajectory = { turns, stop: "max_turns", reward, logs: { text: "\u0000é" } }
          return Effect.gen(function* () {
            const back = yield* codec.decode(yield* codec.encode(trajectory))
            assert.deepStrictEqual(plain(back), plain(trajectory))
          }).pipe(Effect.runPromise)
        }),
        { numRuns: 100, examples: [[[], -0]] }
      )
    )
  )

  it.effect("writes what an episode repeats once, so that its size grows with what is new", () =>
    Effect.gen(function* () {
      const sizeOf = (count: number) => {
        let given: ReadonlyArray<number> = []
        const turns = Array.from({ length: count }, (): Turn => {
          given = [...given, 7, 7, 7, 7, 7]
          const action = { tokens: Int32Array.of(5), logprobs: Float32Array.of(-0.1), stop_reason: "stop" }
          const turn = { observation: ModelInput.fromTokens(given), action, reward: 0 }
          given = [...given, 5]
          return turn
        })
        return Effect.map(codec.encode({ turns, stop: "completed", reward: 1 }), ({ length }) => length)
      }
      const [few, many] = [yield* sizeOf(10), yield* sizeOf(100)]
      assert.isBelow(many, few * 11)
    })
  )
})
