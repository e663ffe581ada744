/**
 * `npm run simulate-rl -- --seeds N --from K`: random loops of reinforcement learning against a simulated service, for N
 * seeds from K on. Environments are slow, fail, or never end.
 */
import * as Effect from "effect/Effect"
import { parseArgs } from "node:util"
import { check, replay } from "../utils/randomRl.ts"

const { values } = parseArgs({
  options: { seeds: { type: "string", default: "500" }, from: { type: "string", default: "0" } }
})
const count = Number(values.seeds)
const from = Number(values.from)
const ends: Record<string, number> = {}
const totals = { faults: 0, hours: 0, failed: 0 }
const start = performance.now()
for (let seed = from; seed < from + count; seed++) {
  const { ended, faults, millis, problems } = await Effect.runPromise(check(seed))
  ends[ended] = (ends[ended] ?? 0) + 1
  totals.faults += faults
  totals.hours += millis / 3_600_000
  if (seed % 100 === 99) console.log(`... ${seed + 1 - from} seeds`)
  if (problems.length === 0) continue
  totals.failed += 1
  console.log(`seed ${seed}: ${replay(seed)}`)
  for (const problem of problems) console.log(`  ${problem}`)
}
const seconds = (performance.now() - start) / 1000
console.log(
  `${count} loops in ${seconds.toFixed(1)} s: ${totals.faults} faults, ${totals.hours.toFixed(1)} h of virtual time`
)
console.log(`how they ended: ${JSON.stringify(ends)}`)
if (totals.failed > 0) {
  console.log(`${totals.failed} seeds failed`)
  process.exitCode = 1
}
