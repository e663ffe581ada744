/** The tests of jinja2, such as `is defined`. */
import { bind } from "../python/arguments.ts"
import { refuse } from "../python/failure.ts"
import { arithmetic, comparisons, contains, equals } from "../python/operators.ts"
import { toStr } from "../python/print.ts"
import { kinds } from "../python/strings.ts"
import { Str } from "../python/text.ts"
import {
  type Arguments,
  Callable,
  Dict,
  DictView,
  Fields,
  isNumber,
  Namespace,
  None,
  tryIterate,
  tryLength,
  Undefined,
  type Value
} from "../python/values.ts"
import type { TestName } from "./known.ts"

/** @internal */
export type Test = (input: Value, args: Arguments) => boolean

const alone =
  (f: (input: Value) => boolean): Test =>
  (input, args) => (bind("a test", [], args), f(input))

const withOne =
  (f: (input: Value, other: Value) => boolean): Test =>
  (input, args) =>
    f(input, bind("a test", ["other"], args).need("other"))

/** Python knows one `None`, `True` and `False`; whether two other values are the same object is not known here. */
const isSame = (a: Value, b: Value): boolean => {
  const isSingle = (value: Value) => value === None || typeof value === "boolean"
  if (isSingle(a) || isSingle(b)) return a === b
  if (a === b && typeof a === "object" && !(a instanceof Str)) return true
  return refuse("sameas of these values")
}

const remainder = (input: Value, by: Value): Value => arithmetic("mod", input, by)

const isIterable = (value: Value): boolean => tryIterate(value) !== undefined

/** A sequence has a length and items by key. */
const isSequence = (value: Value): boolean => {
  return tryLength(value) !== undefined && !(value instanceof DictView)
}

const kindOf = (name: "islower" | "isupper") => alone((value) => kinds[name]!(toStr(value).text))

const compare = (name: string) => withOne(comparisons[name]!)

/** @internal */
export const tests: { readonly [name in TestName]: Test } = {
  "!=": compare("ne"),
  "<": compare("lt"),
  "<=": compare("lteq"),
  "==": compare("eq"),
  ">": compare("gt"),
  ">=": compare("gteq"),
  boolean: alone((value) => typeof value === "boolean"),
  callable: alone((value) => {
    if (value instanceof Namespace || value instanceof Fields) return refuse("callable of this value")
    return value instanceof Callable || value instanceof Undefined
  }),
  defined: alone((value) => !(value instanceof Undefined)),
  divisibleby: (input, args) => equals(remainder(input, bind("divisibleby", ["num"], args).need("num")), 0n),
  eq: compare("eq"),
  equalto: compare("eq"),
  even: alone((value) => equals(remainder(value, 2n), 0n)),
  false: alone((value) => value === false),
  float: alone((value) => typeof value === "number"),
  ge: compare("gteq"),
  greaterthan: compare("gt"),
  gt: compare("gt"),
  in: withOne((value, container) => contains(container, value)),
  integer: alone((value) => typeof value === "bigint"),
  iterable: alone(isIterable),
  le: compare("lteq"),
  lessthan: compare("lt"),
  lower: kindOf("islower"),
  lt: compare("lt"),
  mapping: alone((value) => value instanceof Dict),
  ne: compare("ne"),
  none: alone((value) => value === None),
  number: alone(isNumber),
  odd: alone((value) => equals(remainder(value, 2n), 1n)),
  sameas: withOne(isSame),
  sequence: alone(isSequence),
  string: alone((value) => value instanceof Str),
  true: alone((value) => value === true),
  undefined: alone((value) => value instanceof Undefined),
  upper: kindOf("isupper")
}
