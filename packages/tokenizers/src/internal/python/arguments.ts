/** Arguments of calls, bound to the names of parameters. */
import { fail } from "./failure.ts"
import { type Arguments, None, toIndex, type Value } from "./values.ts"

/** Arguments by position or by name. @internal */
export class Bound {
  readonly #values: ReadonlyMap<string, Value>
  constructor(values: ReadonlyMap<string, Value>) {
    this.#values = values
  }
  /** undefined if it is not given */
  get(name: string): Value | undefined {
    return this.#values.get(name)
  }
  /** the default if it is not given */
  or(name: string, otherwise: Value): Value {
    return this.#values.get(name) ?? otherwise
  }
  /** @throws when it is not given */
  need(name: string): Value {
    return this.#values.get(name) ?? fail(`calls without the argument ${name}`)
  }
  /** a whole number, or undefined if it is not given or None */
  index(name: string): number | undefined {
    const value = this.#values.get(name)
    return value === undefined || value === None ? undefined : toIndex(value, name)
  }
}

/** Binds arguments to parameters. @throws when there are more, or unknown names @internal */
export const bind = (callee: string, parameters: ReadonlyArray<string>, args: Arguments): Bound => {
  if (args.positional.length > parameters.length) return fail(`calls ${callee} with too many arguments`)
  const values = new Map<string, Value>()
  for (const [i, value] of args.positional.entries()) values.set(parameters[i]!, value)
  for (const [name, value] of args.named) {
    if (!parameters.includes(name)) return fail(`calls ${callee} with the unknown argument ${name}`)
    if (values.has(name)) return fail(`calls ${callee} with two values of ${name}`)
    values.set(name, value)
  }
  return new Bound(values)
}

/** Binds arguments that Python takes by position alone. @internal */
export const bindPositional = (callee: string, parameters: ReadonlyArray<string>, args: Arguments): Bound =>
  args.named.size > 0 ? fail(`calls ${callee} with named arguments`) : bind(callee, parameters, args)
