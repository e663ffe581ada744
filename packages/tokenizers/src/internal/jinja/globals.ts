/** The functions that chat templates can call. */
import { bind, bindPositional } from "../python/arguments.ts"
import { fail, refuse } from "../python/failure.ts"
import { needStr } from "../python/methods.ts"
import { toList } from "../python/operators.ts"
import { toStr } from "../python/print.ts"
import { Str } from "../python/text.ts"
import {
  type Arguments,
  Callable,
  Dict,
  Fields,
  Namespace,
  None,
  Range,
  toInt,
  typeName,
  type Value
} from "../python/values.ts"

const range = (args: Arguments): Value => {
  const numbers = args.positional.map((value) => toInt(value) ?? fail(`makes a range of a ${typeName(value)}`))
  if (args.named.size > 0 || numbers.length < 1 || numbers.length > 3)
    return fail("makes a range of other than 1 to 3 numbers")
  const [start, stop, step] =
    numbers.length === 1 ? [0n, numbers[0]!, 1n] : [numbers[0]!, numbers[1]!, numbers[2] ?? 1n]
  return new Range(start, stop, step)
}

/** What `dict` and `namespace` are made of: a mapping or pairs, and named arguments. */
const entriesOf = (args: Arguments): Dict => {
  const [first] = args.positional
  if (args.positional.length > 1) return fail("makes a dict of several values")
  const pairs =
    first === undefined
      ? []
      : first instanceof Dict
        ? first.entries
        : toList(first).map((pair) => {
            const items = toList(pair)
            return items.length === 2 ? ([items[0]!, items[1]!] as const) : fail("makes a dict of other than pairs")
          })
  return new Dict([...pairs, ...[...args.named].map(([name, value]) => [new Str(name), value] as const)])
}

const namespace = (args: Arguments): Value => {
  const out = new Namespace()
  for (const [key, value] of entriesOf(args).entries) {
    if (!(key instanceof Str)) return refuse("a namespace with names that are not strings")
    if (key.text.startsWith("_")) return fail(`stores ${key.text} in a namespace`)
    out.values.set(key.text, value)
  }
  return out
}

const raiseException = (args: Arguments): Value =>
  fail(toStr(bind("raise_exception", ["message"], args).need("message")).text)

const cycler = ({ named, positional }: Arguments): Value => {
  if (positional.length === 0 || named.size > 0) return fail("makes a cycler without items")
  let at = 0
  const next = new Callable("next", () => positional[at++ % positional.length]!)
  const reset = new Callable("reset", () => ((at = 0), None))
  return new Fields("cycler", (name) =>
    name === "next"
      ? next
      : name === "reset"
        ? reset
        : name === "current"
          ? positional[at % positional.length]
          : undefined
  )
}

const joiner = (args: Arguments): Value => {
  const separator = toStr(bind("joiner", ["sep"], args).or("sep", new Str(", ")))
  let isUsed = false
  const call = () => {
    const out = isUsed ? separator : new Str("")
    isUsed = true
    return out
  }
  return new Fields("joiner", () => undefined, call)
}

/** @internal */
export const globals = (strftime: (format: string) => string): ReadonlyMap<string, Value> => {
  const functions: { readonly [name: string]: (args: Arguments) => Value } = {
    range,
    dict: entriesOf,
    namespace,
    cycler,
    joiner,
    lipsum: () => refuse("the function lipsum"),
    raise_exception: raiseException,
    strftime_now: (args) =>
      new Str(strftime(needStr(bindPositional("strftime_now", ["format"], args).need("format"), "a format").text))
  }
  return new Map(Object.entries(functions).map(([name, call]) => [name, new Callable(name, call)]))
}
