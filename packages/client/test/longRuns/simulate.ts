/**
 * `npm run simulate -- --seeds N --from K`: runs random programs against a simulated service, for N seeds from K on. With
 * `--kills` the process of the service ends now and then, and another one starts.
 */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import { check, replay } from "../utils/randomProgram.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "2000" },
    from: { type: "string", default: "0" },
    kills: { type: "boolean", default: false }
  }
})
const count = Number(values.seeds)
const from = Number(values.from)
const totals = { requests: 0, faults: 0, kills: 0, applied: 0, hours: 0, failed: 0 }
const errors: Record<string, number> = {}
const start = performance.now()
for (let seed = from; seed < from + count; seed++) {
  const verdict = await Effect.runPromise(check(seed, { isMortal: values.kills }))
  totals.requests += verdict.requests
  totals.faults += verdict.faults
  totals.kills += verdict.kills
  totals.applied += verdict.applied
  totals.hours += verdict.millis / 3_600_000
  for (const [tag, n] of Object.entries(verdict.errors)) errors[tag] = (errors[tag] ?? 0) + n
  if (seed % 500 === 499) console.log(`... ${seed + 1 - from} seeds`)
  if (verdict.problems.length > 0) {
    totals.failed += 1
    console.log(`seed ${seed}: ${replay(seed, values.kills)}`)
    for (const problem of verdict.problems) console.log(`  ${problem}`)
  }
}
const seconds = (performance.now() - start) / 1000
console.log(
  `${count} seeds in ${seconds.toFixed(1)} s: ${totals.applied} operations applied, ${totals.requests} requests, ` +
    `${totals.faults} faults, ${totals.kills} ends of the service's process, ${totals.hours.toFixed(1)} h of virtual time`
)
console.log(`errors that programs received: ${JSON.stringify(errors)}`)
if (totals.failed > 0) {
  console.log(`${totals.failed} seeds failed`)
  process.exitCode = 1
}
