/** The values of Python that templates compute with. */
import { formatFloat } from "../json/numbers.ts"
import { fail, Failure, refuse } from "./failure.ts"
import { Str } from "./text.ts"

/**
 * A value. An `int` is a bigint, a `float` a number, a `list` an array.
 *
 * @internal
 */
export type Value =
  | NoneType
  | boolean
  | bigint
  | number
  | Str
  | ReadonlyArray<Value>
  | Undefined
  | Tuple
  | Dict
  | DictView
  | Range
  | Iter
  | Namespace
  | Slice
  | Callable
  | Fields

/** `null` of JavaScript would be taken for an absent value by `??`. */
/** @internal */
export class NoneType {}

/** `None`. @internal */
export const None = new NoneType()

/** What a name without value evaluates to. @internal */
export class Undefined {
  /** why it fails when it is used */
  readonly reason: string
  constructor(reason: string) {
    this.reason = reason
  }
  fail(): never {
    return fail(this.reason)
  }
}

/** @internal */
export class Tuple {
  readonly items: ReadonlyArray<Value>
  /** of a named tuple */
  readonly names: ReadonlyArray<string>
  constructor(items: ReadonlyArray<Value>, names: ReadonlyArray<string> = []) {
    this.items = items
    this.names = names
  }
}

/** @internal */
export class Dict {
  readonly #entries = new Map<string, readonly [Value, Value]>()
  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    for (const [key, value] of entries) this.set(key, value)
  }
  /** for dicts that are being made: templates cannot change them */
  set(key: Value, value: Value): void {
    const hash = hashOf(key)
    // the first of equal keys stays
    this.#entries.set(hash, [this.#entries.get(hash)?.[0] ?? key, value])
  }
  get(key: Value): Value | undefined {
    return this.#entries.get(hashOf(key))?.[1]
  }
  getName(name: string): Value | undefined {
    return this.#entries.get(`s${name}`)?.[1]
  }
  get size(): number {
    return this.#entries.size
  }
  get entries(): ReadonlyArray<readonly [Value, Value]> {
    return [...this.#entries.values()]
  }
}

/** What `keys`, `values` and `items` of a dict return. @internal */
export class DictView {
  readonly dict: Dict
  readonly kind: "keys" | "values" | "items"
  constructor(dict: Dict, kind: DictView["kind"]) {
    this.dict = dict
    this.kind = kind
  }
  get items(): ReadonlyArray<Value> {
    const { entries } = this.dict
    if (this.kind === "items") return entries.map((entry) => new Tuple(entry))
    return entries.map(([key, value]) => (this.kind === "keys" ? key : value))
  }
}

/** @internal */
export class Range {
  readonly start: bigint
  readonly stop: bigint
  readonly step: bigint
  readonly length: number
  constructor(start: bigint, stop: bigint, step: bigint) {
    if (step === 0n) fail("range() arg 3 must not be zero")
    this.start = start
    this.stop = stop
    this.step = step
    const span = step > 0n ? stop - start + step - 1n : start - stop - step - 1n
    const length = span <= 0n ? 0n : span / (step > 0n ? step : -step)
    // the sandbox of the reference has the same limit
    if (length > 100_000n) fail("makes a range of more than 100000 numbers")
    this.length = Number(length)
  }
  get items(): ReadonlyArray<bigint> {
    return Array.from({ length: this.length }, (_, i) => this.start + BigInt(i) * this.step)
  }
}

/** A generator or iterator: it yields its items once. @internal */
export class Iter {
  readonly iterator: Iterator<Value>
  constructor(items: Iterable<Value>) {
    this.iterator = items[Symbol.iterator]()
  }
}

/** @internal */
export class Namespace {
  readonly values = new Map<string, Value>()
}

/** `a:b:c` in brackets. @internal */
export class Slice {
  readonly parts: readonly [Value, Value, Value]
  constructor(parts: Slice["parts"]) {
    this.parts = parts
  }
}

/** @internal */
export interface Arguments {
  readonly positional: ReadonlyArray<Value>
  readonly named: ReadonlyMap<string, Value>
}

/** A function, a method or a macro. @internal */
export class Callable {
  readonly name: string
  readonly call: (args: Arguments) => Value
  constructor(name: string, call: Callable["call"]) {
    this.name = name
    this.call = call
  }
}

/** An object with attributes only, such as `loop`. @internal */
export class Fields {
  readonly name: string
  readonly get: (name: string) => Value | undefined
  readonly call: ((args: Arguments) => Value) | undefined
  constructor(name: string, get: Fields["get"], call?: Fields["call"]) {
    this.name = name
    this.get = get
    this.call = call
  }
}

/** The name of a value's type, for messages. @internal */
export const typeName = (value: Value): string => {
  if (value === None) return "NoneType"
  if (typeof value === "boolean") return "bool"
  if (typeof value === "bigint") return "int"
  if (typeof value === "number") return "float"
  if (value instanceof Str) return "str"
  if (Array.isArray(value)) return "list"
  if (value instanceof Fields) return value.name
  return (value as object).constructor.name.toLowerCase()
}

/** Whole numbers also stand for booleans. @internal */
export const isNumber = (value: Value): value is boolean | bigint | number =>
  typeof value === "boolean" || typeof value === "bigint" || typeof value === "number"

/** @internal */
export const toInt = (value: Value): bigint | undefined =>
  typeof value === "bigint" ? value : typeof value === "boolean" ? (value ? 1n : 0n) : undefined

/** The float of a whole number is exact, or fails. @internal */
export const toFloat = (value: boolean | bigint | number): number => {
  if (typeof value === "number") return value
  const number = Number(value)
  if (typeof value === "bigint" && BigInt.asIntN(2000, value) === value && BigInt(number) === value) return number
  return typeof value === "boolean" ? number : refuse(`the float of the integer ${String(value).slice(0, 30)}`)
}

/** A small whole number, such as an index or a count. @internal */
export const toIndex = (value: Value, what: string): number => {
  const int = toInt(value)
  if (int === undefined) return fail(`gives a ${typeName(value)} as ${what}`)
  if (int > 2n ** 31n || int < -(2n ** 31n)) return int > 0n ? 2 ** 31 : -(2 ** 31)
  return Number(int)
}

const hashOf = (value: Value): string => {
  if (value instanceof Str) return `s${value.text}`
  if (value === None) return "N"
  if (typeof value === "boolean") return value ? "i1" : "i0"
  if (typeof value === "bigint") return `i${value}`
  if (typeof value === "number") return Number.isInteger(value) ? `i${BigInt(value)}` : `f${value}`
  if (value instanceof Tuple) return `t${value.items.map((item) => hashOf(item).length + ":" + hashOf(item)).join(",")}`
  return fail(`uses a ${typeName(value)} as a key`)
}

/** The hash of a value that may be a key, and undefined for others. @internal */
export const tryHash = (value: Value): string | undefined => {
  try {
    return hashOf(value)
  } catch (cause) {
    if (cause instanceof Failure) return undefined
    throw cause
  }
}

function* oneByOne(text: Str): Iterable<Str> {
  for (let i = 0; i < text.length; i++) yield text.sliceByPoint(i, i + 1)
}

/** The items of a value, or undefined if it has none. @internal */
export const tryIterate = (value: Value): Iterable<Value> | undefined => {
  if (Array.isArray(value)) return value as ReadonlyArray<Value>
  if (value instanceof Str) return oneByOne(value)
  if (value instanceof Tuple || value instanceof DictView || value instanceof Range) return value.items
  if (value instanceof Dict) return value.entries.map(([key]) => key)
  if (value instanceof Undefined) return []
  if (value instanceof Iter) return { [Symbol.iterator]: () => value.iterator }
  return undefined
}

/** @throws when the value has no items @internal */
export const iterate = (value: Value): Iterable<Value> =>
  tryIterate(value) ?? fail(`loops over a ${typeName(value)}, which has no items`)

/** The number of items, or undefined if it is not known without a loop. @internal */
export const tryLength = (value: Value): number | undefined => {
  if (value instanceof Undefined) return 0
  if (value instanceof Str || Array.isArray(value) || value instanceof Range) return value.length
  if (value instanceof Tuple || value instanceof DictView) return value.items.length
  return value instanceof Dict ? value.size : undefined
}

/** @internal */
export const isTrue = (value: Value): boolean => {
  if (typeof value === "boolean") return value
  if (isNumber(value)) return typeof value === "bigint" ? value !== 0n : value !== 0
  return value !== None && (tryLength(value) ?? 1) > 0
}

/** A float as `str` and `repr` print it. @internal */
export const printFloat = (value: number): string =>
  Number.isFinite(value) ? formatFloat(value) : Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf"

/** Python refuses to print longer integers. @internal */
export const printInt = (value: bigint): string => {
  const text = value.toString()
  return text.length > 4300 ? fail("prints an integer of more than 4300 digits") : text
}
