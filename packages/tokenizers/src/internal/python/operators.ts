/** Arithmetic and comparisons of Python. */
import { chargeSteps, fail, refuse } from "./failure.ts"
import { compareText } from "./print.ts"
import { formatPercent } from "./format.ts"
import { concat, repeat, Safe, Str } from "./text.ts"
import {
  Dict,
  DictView,
  isNumber,
  iterate,
  Range,
  toFloat,
  toIndex,
  toInt,
  tryHash,
  tryIterate,
  Tuple,
  typeName,
  Undefined,
  type Value
} from "./values.ts"

const itemsOf = (value: Value): ReadonlyArray<Value> | undefined =>
  Array.isArray(value) ? (value as ReadonlyArray<Value>) : value instanceof Tuple ? value.items : undefined

/** @internal */
export const equals = (a: Value, b: Value): boolean => {
  if (a === b) return true
  if (isNumber(a) && isNumber(b)) {
    const [x, y] = [typeof a === "boolean" ? Number(a) : a, typeof b === "boolean" ? Number(b) : b]
    // oxlint-disable-next-line eqeqeq -- compares integers with floats exactly
    return x == y
  }
  if (a instanceof Str) return b instanceof Str && a.text === b.text
  if (a instanceof Undefined) return b instanceof Undefined
  if (Array.isArray(a) === Array.isArray(b) && a instanceof Tuple === b instanceof Tuple) {
    const [x, y] = [itemsOf(a), itemsOf(b)]
    if (x !== undefined && y !== undefined) {
      chargeSteps(x.length)
      return x.length === y.length && x.every((item, i) => equals(item, y[i]!))
    }
  }
  if (a instanceof Dict && b instanceof Dict) {
    chargeSteps(a.size)
    if (a.size !== b.size) return false
    return a.entries.every(([key, item]) => {
      const other = b.get(key)
      return other !== undefined && equals(item, other)
    })
  }
  if (a instanceof Range && b instanceof Range) return equals(a.items, b.items)
  if (a instanceof DictView || b instanceof DictView) return refuse("a comparison of views of dicts")
  return false
}

/** Negative, zero or positive; undefined if one is NaN. @throws when the values have no order */
const compare = (a: Value, b: Value): number | undefined => {
  if (isNumber(a) && isNumber(b)) {
    const [x, y] = [typeof a === "boolean" ? Number(a) : a, typeof b === "boolean" ? Number(b) : b]
    return x < y ? -1 : x > y ? 1 : equals(a, b) ? 0 : undefined
  }
  if (a instanceof Str && b instanceof Str) return compareText(a.text, b.text)
  const [x, y] = [itemsOf(a), itemsOf(b)]
  if (x !== undefined && y !== undefined && Array.isArray(a) === Array.isArray(b)) {
    for (let i = 0; i < Math.min(x.length, y.length); i++) if (!equals(x[i]!, y[i]!)) return compare(x[i]!, y[i]!)
    return x.length - y.length
  }
  if (a instanceof Undefined) return a.fail()
  if (b instanceof Undefined) return b.fail()
  return fail(`compares a ${typeName(a)} with a ${typeName(b)}`)
}

/** @internal */
export const isLess = (a: Value, b: Value): boolean => (compare(a, b) ?? 1) < 0

/** @internal */
export const contains = (container: Value, item: Value): boolean => {
  if (container instanceof Str) {
    if (!(item instanceof Str)) return fail(`looks for a ${typeName(item)} in a str`)
    return container.text.includes(item.text)
  }
  if (container instanceof Dict) {
    if (tryHash(item) === undefined) return fail(`looks for a ${typeName(item)} in a dict`)
    return container.get(item) !== undefined
  }
  const items = tryIterate(container) ?? fail(`looks for something in a ${typeName(container)}`)
  for (const each of items) {
    chargeSteps(1)
    if (equals(each, item)) return true
  }
  return false
}

/** @internal */
export const comparisons: { readonly [operator: string]: (a: Value, b: Value) => boolean } = {
  eq: equals,
  ne: (a, b) => !equals(a, b),
  lt: isLess,
  gt: (a, b) => isLess(b, a),
  lteq: (a, b) => (compare(a, b) ?? 1) <= 0,
  gteq: (a, b) => (compare(a, b) ?? -1) >= 0,
  in: (a, b) => contains(b, a),
  notin: (a, b) => !contains(b, a)
}

/** No integer may be longer: a template could fill the memory with one. */
const maxBits = 20_000n

const bounded = (value: bigint): bigint =>
  value >> maxBits === 0n || value >> maxBits === -1n ? value : fail("computes an integer of more than 20000 bits")

const floorDivide = (a: bigint, b: bigint): bigint => {
  if (b === 0n) return fail("divides by zero")
  const quotient = a / b
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient
}

const floatModulo = (a: number, b: number): number => {
  if (b === 0) return fail("divides by zero")
  const rest = a % b
  if (rest === 0) return b < 0 ? -0 : 0
  return rest < 0 !== b < 0 ? rest + b : rest
}

const floatFloorDivide = (a: number, b: number): number => {
  if (b === 0) return fail("divides by zero")
  // as Python computes it, so that it agrees with the modulo
  const quotient = (a - floatModulo(a, b)) / b
  const floored = Math.floor(quotient)
  if (quotient === 0) return a / b < 0 ? -0 : 0
  return quotient - floored > 0.5 ? floored + 1 : floored
}

interface Numeric {
  readonly ints: (a: bigint, b: bigint) => Value
  readonly floats: (a: number, b: number) => Value
}

const numeric: { readonly [operator: string]: Numeric } = {
  add: { ints: (a, b) => bounded(a + b), floats: (a, b) => a + b },
  sub: { ints: (a, b) => bounded(a - b), floats: (a, b) => a - b },
  mul: { ints: (a, b) => bounded(a * b), floats: (a, b) => a * b },
  div: {
    ints: (a, b) => (b === 0n ? fail("divides by zero") : toFloat(a) / toFloat(b)),
    floats: (a, b) => (b === 0 ? fail("divides by zero") : a / b)
  },
  floordiv: { ints: floorDivide, floats: floatFloorDivide },
  mod: { ints: (a, b) => a - floorDivide(a, b) * b, floats: floatModulo },
  pow: {
    ints: (a, b) => {
      if (b < 0n) return refuse("a negative power")
      if (b > maxBits) return a === 0n || a === 1n ? a : refuse("a large power")
      return bounded(BigInt(a.toString(2).length) * b > maxBits + 64n ? 1n << (maxBits + 1n) : a ** b)
    },
    // the libraries of C and of JavaScript differ in the last digit
    floats: () => refuse("a power of floats")
  }
}

const times = (a: Value, b: Value): Value | undefined => {
  const [sequence, count] = isNumber(a) ? [b, a] : [a, b]
  if (toInt(count) === undefined) return undefined
  const n = Math.max(0, toIndex(count, "a number of copies"))
  if (sequence instanceof Str) return repeat(sequence, n)
  const items = itemsOf(sequence)
  if (items === undefined) return undefined
  chargeSteps(items.length * n)
  const copies = Array.from({ length: n }, () => items).flat()
  return sequence instanceof Tuple ? new Tuple(copies) : copies
}

const plus = (a: Value, b: Value): Value | undefined => {
  if (a instanceof Str && b instanceof Str) return concat([a, b])
  const [x, y] = [itemsOf(a), itemsOf(b)]
  if (x === undefined || y === undefined || Array.isArray(a) !== Array.isArray(b)) return undefined
  chargeSteps(x.length + y.length)
  return Array.isArray(a) ? [...x, ...y] : new Tuple([...x, ...y])
}

/** @internal */
export const arithmetic = (operator: string, a: Value, b: Value): Value => {
  if (a instanceof Safe || b instanceof Safe) return refuse(`${operator} of a text that is safe`)
  if (isNumber(a) && isNumber(b)) {
    const operation = numeric[operator]!
    const [x, y] = [toInt(a), toInt(b)]
    return x !== undefined && y !== undefined ? operation.ints(x, y) : operation.floats(toFloat(a), toFloat(b))
  }
  if (operator === "mod" && a instanceof Str) return formatPercent(a, b)
  if (a instanceof Undefined) return a.fail()
  if (b instanceof Undefined) return b.fail()
  const result = operator === "mul" ? times(a, b) : operator === "add" ? plus(a, b) : undefined
  return result ?? fail(`computes ${operator} of a ${typeName(a)} and a ${typeName(b)}`)
}

/** @internal */
export const negate = (value: Value): Value => {
  if (value instanceof Undefined) return value.fail()
  if (!isNumber(value)) return fail(`negates a ${typeName(value)}`)
  const int = toInt(value)
  return int === undefined ? -(value as number) : -int
}

/** @internal */
export const sorted = (
  items: ReadonlyArray<Value>,
  keyOf: (value: Value) => Value,
  isReversed: boolean
): Array<Value> => {
  chargeSteps(items.length * 8)
  const keyed = items.map((item) => ({ item, key: keyOf(item) }))
  // a sort that is stable in both directions, as Python's
  keyed.sort(({ key: a }, { key: b }) => (isLess(a, b) ? -1 : isLess(b, a) ? 1 : 0) * (isReversed ? -1 : 1))
  if (keyed.length === 1) return [...items]
  return keyed.map(({ item }) => item)
}

/** @internal */
export const toList = (value: Value): Array<Value> => {
  const out: Array<Value> = []
  for (const item of iterate(value)) {
    chargeSteps(1)
    out.push(item)
  }
  return out
}
