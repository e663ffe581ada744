/** What an attack is: it says what it saw, or fails with how the service fell short. */

export interface Attack {
  /** what is attempted, in a few words */
  readonly name: string
  /** whether the short form, which CI runs, has it */
  readonly short: boolean
  /** Returns what was seen. Throws a `FallsShort` if the service did not hold. */
  readonly run: () => Promise<string>
}

/** The service did not hold. */
export class FallsShort extends Error {}

/** Fails the attack unless the condition holds. */
export const expect = (condition: boolean, seen: string): void => {
  if (!condition) throw new FallsShort(seen)
}

/** `true` in the short form, in which attacks repeat less. */
export const isShort = process.argv.includes("--short")

/** The checkout whose service is attacked: `--root DIRECTORY`, this one by default. */
export const root = ((at) => (at < 0 ? new URL("..", import.meta.url).pathname : process.argv[at + 1]!))(
  process.argv.indexOf("--root")
)

export const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))
