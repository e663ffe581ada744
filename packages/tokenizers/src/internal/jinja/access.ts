/** `a.b`, `a["b"]` and slices, as the sandbox of jinja2 has them. */
import { chargeSteps, fail, refuse } from "../python/failure.ts"
import { methodOf } from "../python/methods.ts"
import { concat, Safe, Str } from "../python/text.ts"
import {
  Callable,
  Dict,
  Fields,
  Namespace,
  None,
  Range,
  Slice,
  toIndex,
  toInt,
  Tuple,
  typeName,
  Undefined,
  type Value
} from "../python/values.ts"

const noAttribute = (value: Value, name: string): Undefined =>
  new Undefined(`reads ${JSON.stringify(name)} of a ${typeName(value)}, which has none`)

/** An attribute of an object, without its items. @internal */
export const attributeOf = (value: Value, name: string): Value | undefined => {
  if (value instanceof Undefined) return value.fail()
  if (name.startsWith("__")) return refuse(`the attribute ${name}`)
  if (value instanceof Namespace) return value.values.get(name)
  if (value instanceof Fields) return value.get(name)
  if (value instanceof Callable) return refuse("an attribute of a function or a macro")
  if (value instanceof Tuple && value.names.includes(name)) return value.items[value.names.indexOf(name)]
  return methodOf(value, name)
}

/** `value.name`: an attribute, else an item. @internal */
export const getAttribute = (value: Value, name: string): Value => {
  if (value instanceof Dict && name.startsWith("__")) return value.getName(name) ?? refuse(`the attribute ${name}`)
  return (
    attributeOf(value, name) ?? (value instanceof Dict ? value.getName(name) : undefined) ?? noAttribute(value, name)
  )
}

/** The index in a sequence of a length, or undefined if it is outside. */
const within = (key: Value, length: number): number | undefined => {
  if (toInt(key) === undefined) return undefined
  const index = toIndex(key, "an index")
  const at = index < 0 ? index + length : index
  return at >= 0 && at < length ? at : undefined
}

/** The indices that a slice takes of a sequence of a length. */
const sliceIndices = (slice: Slice, length: number): Array<number> => {
  const [start, stop, step] = slice.parts.map((part) =>
    part === None ? undefined : toIndex(part, "a part of a slice")
  )
  const by = step ?? 1
  if (by === 0) return fail("slices with a step of zero")
  const clamp = (value: number | undefined, otherwise: number): number => {
    if (value === undefined) return otherwise
    const at = value < 0 ? value + length : value
    return by > 0 ? Math.min(Math.max(at, 0), length) : Math.min(Math.max(at, -1), length - 1)
  }
  const from = clamp(start, by > 0 ? 0 : length - 1)
  const to = clamp(stop, by > 0 ? length : -1)
  const out: Array<number> = []
  for (let i = from; by > 0 ? i < to : i > to; i += by) out.push(i)
  chargeSteps(out.length / 16)
  return out
}

const sliceOf = (value: Value, slice: Slice): Value => {
  if (value instanceof Str) {
    const indices = sliceIndices(slice, value.length)
    const isRun = indices.every((at, i) => i === 0 || at === indices[i - 1]! + 1)
    if (isRun) return indices.length === 0 ? new Str("") : value.sliceByPoint(indices[0]!, indices.at(-1)! + 1)
    return concat(indices.map((at) => value.sliceByPoint(at, at + 1)))
  }
  if (Array.isArray(value)) return sliceIndices(slice, value.length).map((at) => (value as ReadonlyArray<Value>)[at]!)
  if (value instanceof Tuple) return new Tuple(sliceIndices(slice, value.items.length).map((at) => value.items[at]!))
  return value instanceof Range ? refuse("a slice of a range") : fail(`takes a slice of a ${typeName(value)}`)
}

const itemOf = (value: Value, key: Value): Value | undefined => {
  if (value instanceof Dict && key instanceof Slice) return fail("takes a slice of a dict")
  if (value instanceof Dict) {
    // a key that cannot be one is an error of Python that jinja2 takes for a missing item
    return Array.isArray(key) || key instanceof Dict ? undefined : value.get(key)
  }
  if (key instanceof Slice) return value instanceof Safe ? refuse("a part of a text that is safe") : sliceOf(value, key)
  if (value instanceof Safe) return refuse("a part of a text that is safe")
  if (value instanceof Str) {
    const at = within(key, value.length)
    return at === undefined ? undefined : value.sliceByPoint(at, at + 1)
  }
  const items = Array.isArray(value) ? (value as ReadonlyArray<Value>) : undefined
  const sequence = items ?? (value instanceof Tuple || value instanceof Range ? value.items : undefined)
  if (sequence === undefined) return undefined
  const at = within(key, sequence.length)
  return at === undefined ? undefined : sequence[at]
}

/** `value[key]`: an item, else an attribute. @internal */
export const getItem = (value: Value, key: Value): Value => {
  if (value instanceof Undefined) return value.fail()
  const item = itemOf(value, key)
  if (item !== undefined) return item
  const name = key instanceof Str ? key.text : undefined
  const attribute = name === undefined ? undefined : attributeOf(value, name)
  return attribute ?? noAttribute(value, name ?? typeName(key))
}
