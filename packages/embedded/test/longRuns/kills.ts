/** `npm run kills -- --kills N --saves M`: kills a service N times under load, and saves M checkpoints from two processes. */
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { killRepeatedly } from "../utils/kills.ts"
import { saveSideBySide } from "../utils/saves.ts"

const { values } = parseArgs({
  options: { kills: { type: "string", default: "100" }, saves: { type: "string", default: "1000" } }
})

const inDirectory = <A, E>(use: (directory: string) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "tinker-kills-"))),
    use,
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )

const report = (
  what: string,
  { acknowledged, problems }: { acknowledged: number; problems: ReadonlyArray<string> }
) => {
  console.log(`${what}: ${acknowledged} acknowledged, ${problems.length} lost`)
  for (const problem of problems) console.log(`  ${problem}`)
  if (problems.length > 0) process.exitCode = 1
}

report(
  `${values.saves} saves from two processes`,
  await Effect.runPromise(inDirectory((directory) => saveSideBySide(directory, Math.ceil(Number(values.saves) / 2))))
)
report(
  `${values.kills} kills under load`,
  await Effect.runPromise(inDirectory((directory) => killRepeatedly(directory, Number(values.kills), console.log)))
)
