/** Reads the fields of a `config.json`, and remembers every reason why it is rejected. */

/** @internal */
export type Json = { readonly [name: string]: unknown }

/** @internal */
export const isJson = (u: unknown): u is Json => typeof u === "object" && u !== null && !Array.isArray(u)

/** Why a configuration is rejected. */
class Unsupported {
  readonly reason: string
  constructor(reason: string) {
    this.reason = reason
  }
}

/** Ends the parsing of a field. @internal */
export const reject = (reason: string): never => {
  throw new Unsupported(reason)
}

/** @internal */
export const show = (value: unknown): string => JSON.stringify(value) ?? String(value)

/** @internal */
export const positiveInteger = (raw: Json, name: string, fallback?: number): number => {
  const value = raw[name] ?? fallback
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 && value < 2 ** 31
    ? value
    : reject(`${name} is ${show(value)}: it must be a positive integer`)
}

/** @internal */
export const positiveNumber = (raw: Json, name: string, fallback?: number): number => {
  const value = raw[name] ?? fallback
  return typeof value === "number" && Number.isFinite(value) && value > 0
    ? value
    : reject(`${name} is ${show(value)}: it must be a positive number`)
}

/** Parses fields one by one, and remembers why some are rejected. @internal */
export class Fields {
  readonly reasons: Array<string> = []
  /** The field, or something in its place if it is rejected: then nothing is returned in the end. */
  read<A>(parse: () => A): A {
    try {
      return parse()
    } catch (error) {
      if (!(error instanceof Unsupported)) throw error
      this.reasons.push(error.reason)
      return undefined as A
    }
  }
}
