/**
 * Attacks the service, each in its default configuration and in a process of its own.
 *
 *     npm run attack                          all attacks
 *     npm run attack -- --short               the short form, which CI runs
 *     npm run attack -- quota drain           the attacks whose names have one of these words
 *     npm run attack -- --root DIRECTORY      attacks the service of another checkout
 *
 * Prints a line for each attack with what was seen, and fails if one shows that the service falls short.
 */
import { type Attack, FallsShort, isShort } from "./attack.ts"
import * as archives from "./archives.ts"
import * as bodies from "./bodies.ts"
import * as clients from "./clients.ts"
import * as numbers from "./numbers.ts"
import * as service from "./service.ts"
import * as sessions from "./sessions.ts"
import * as stopping from "./stopping.ts"
import * as stores from "./stores.ts"
import * as users from "./users.ts"
import * as webPages from "./webPages.ts"
import * as wrongResults from "./wrongResults.ts"

const words = process.argv.slice(2).filter((arg, i, args) => !arg.startsWith("--") && args[i - 1] !== "--root")

const oneLine = (text: string): string => text.replace(/\s+/g, " ").slice(0, 400)

/** Runs an attack, and says whether the service held. */
const attempt = async ({ name, run }: Attack): Promise<boolean> => {
  const began = performance.now()
  const took = () => `${((performance.now() - began) / 1000).toFixed(1)} s`
  try {
    const seen = await run()
    console.log(`holds        ${name} (${took()}): ${oneLine(seen)}`)
    return true
  } catch (error) {
    const reason = error instanceof FallsShort ? error.message : `${String(error)} ${(error as Error).stack ?? ""}`
    console.log(`falls short  ${name} (${took()}): ${oneLine(reason)}`)
    return false
  }
}

const concerns: ReadonlyArray<(shared: service.Service) => ReadonlyArray<Attack>> = [
  wrongResults.attacks,
  webPages.attacks,
  numbers.attacks,
  sessions.attacks,
  bodies.attacks
]

const main = async (): Promise<number> => {
  const chosen = (all: ReadonlyArray<Attack>) =>
    all.filter(
      ({ name, short }) => (!isShort || short) && (words.length === 0 || words.some((word) => name.includes(word)))
    )
  let held = 0
  let total = 0
  const attack = async (attacks: ReadonlyArray<Attack>) => {
    for (const one of chosen(attacks)) {
      total++
      if (await attempt(one)) held++
    }
  }
  // one service for all attacks of a concern, which must leave it whole; in the short form one for all
  let shared = await service.start()
  for (const attacksOf of concerns) {
    if (chosen(attacksOf(shared)).length === 0) continue
    if (shared.child.exitCode !== null || shared.child.signalCode !== null) shared = await service.start()
    await attack(attacksOf(shared))
    if (!isShort) await service.kill(shared)
  }
  await service.kill(shared)
  for (const attacks of [users.attacks, stopping.attacks, stores.attacks, clients.attacks, archives.attacks])
    await attack(attacks)
  console.log(`${held} of ${total} attacks held${isShort ? ", in the short form" : ""}`)
  return held === total ? 0 : 1
}

const code = await main().catch((error: unknown) => {
  console.log(`the attacks could not run: ${String(error)}`)
  return 1
})
service.cleanUp()
process.exit(code)
