/** Who meets whom, and what each earns. */
import * as Effect from "effect/Effect"
import { InvalidJudgement } from "./errors.ts"

/** The pairs of a tournament of so many, each against so many of those behind it, in a ring. Each pair meets once. */
const matches = (count: number, opponents: number): ReadonlyArray<readonly [number, number]> => {
  const pairs = new Map<string, readonly [number, number]>()
  for (let a = 0; a < count; a++) {
    for (let i = 1; i <= opponents; i++) {
      const b = (a + i) % count
      pairs.set(`${Math.min(a, b)}/${Math.max(a, b)}`, [a, b])
    }
  }
  return Array.from(pairs.values())
}

/** The mean judgement of each in its matches; 0 for one that has none. @internal */
export const tournament = <E, R>(
  count: number,
  opponents = count - 1,
  judge: (a: number, b: number) => Effect.Effect<number, E, R>
): Effect.Effect<ReadonlyArray<number>, E | InvalidJudgement, R> =>
  Effect.gen(function* () {
    // in a ring, each meets those before it as well
    const ahead = Math.max(0, Math.min(Math.ceil(opponents / 2), Math.floor(count / 2)))
    const pairs = matches(count, ahead)
    const judgements = yield* Effect.forEach(pairs, ([a, b]) => judge(a, b), { concurrency: "unbounded" })
    const sums = Array.from({ length: count }, () => ({ total: 0, matches: 0 }))
    for (const [i, [a, b]] of pairs.entries()) {
      const value = judgements[i]!
      if (!(value >= -1 && value <= 1)) return yield* new InvalidJudgement({ value })
      sums[a]!.total -= value
      sums[b]!.total += value
      sums[a]!.matches++
      sums[b]!.matches++
    }
    return sums.map(({ matches, total }) => total / Math.max(1, matches))
  })
