/** Why a template cannot be parsed or rendered, and how much it may compute. */

/** A template is wrong, rejects its variables, or needs what is not supported. Python fails as well, or may differ. @internal */
export class Failure extends Error {}

/** @throws always @internal */
export const fail = (message: string): never => {
  throw new Failure(message)
}

/** @throws always: Python would go on, but not in a way that is known to be the same here @internal */
export const refuse = (what: string): never => fail(`uses ${what}, which is not supported`)

/** How many characters and steps one rendering may take: a template is from outside, and could run for ever. */
const limits = { characters: 256 * 2 ** 20, steps: 5_000_000 }

/** Rendering is synchronous, so that there is one meter. */
const meter = { characters: 0, steps: 0 }

/** @internal */
export const startMeter = (): void => {
  meter.characters = 0
  meter.steps = 0
}

/** Counts characters before they are made. @throws when the limit is reached @internal */
export const chargeCharacters = (count: number): void => {
  meter.characters += count
  if (meter.characters > limits.characters) fail(`makes more than ${limits.characters} characters of text`)
}

/** Counts steps before they are made. @throws when the limit is reached @internal */
export const chargeSteps = (count: number): void => {
  meter.steps += count
  if (meter.steps > limits.steps) fail(`takes more than ${limits.steps} steps`)
}
