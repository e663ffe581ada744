/** The filters of jinja2, and `tojson` as chat templates have it. */
import { bind, type Bound } from "../python/arguments.ts"
import { chargeSteps, fail, refuse } from "../python/failure.ts"
import { formatPercent, roundFloat, roundInt } from "../python/format.ts"
import { center, needStr } from "../python/methods.ts"
import { arithmetic, equals, isLess, sorted, toList } from "../python/operators.ts"
import { dumps, toStr } from "../python/print.ts"
import * as strings from "../python/strings.ts"
import { concat, join, repeat, Safe, Str } from "../python/text.ts"
import {
  type Arguments,
  Dict,
  isNumber,
  isTrue,
  Iter,
  iterate,
  None,
  toFloat,
  toIndex,
  toInt,
  tryHash,
  tryLength,
  Tuple,
  typeName,
  Undefined,
  type Value
} from "../python/values.ts"
import { attributeOf, getItem } from "./access.ts"
import type { FilterName } from "./known.ts"
import { tests } from "./tests.ts"

/** @internal */
export type Filter = (input: Value, args: Arguments) => Value

const filter =
  (parameters: ReadonlyArray<string>, f: (input: Value, args: Bound) => Value): Filter =>
  (input, args) =>
    f(input, bind("a filter", parameters, args))

const ofText = (f: (text: Str) => Value): Filter => filter([], (input) => f(toStr(input)))

/** What `attribute="a.b.0"` reads. */
const reader = (attribute: Value, otherwise?: Value, map: (value: Value) => Value = (value) => value) => {
  const parts: ReadonlyArray<Value> =
    attribute === None
      ? []
      : attribute instanceof Str
        ? strings
            .split(attribute, new Str("."), -1, false)
            .map((part) => (/^\d+$/.test(part.text) ? BigInt(part.text) : part))
        : [attribute]
  return (item: Value): Value => {
    let out = item
    for (const part of parts) {
      out = getItem(out, part)
      if (otherwise !== undefined && otherwise !== None && out instanceof Undefined) out = otherwise
    }
    return map(out)
  }
}

const ignoreCase = (value: Value): Value => (value instanceof Str ? strings.lower(value) : value)

const caseOf = (args: Bound) => (isTrue(args.or("case_sensitive", false)) ? (value: Value) => value : ignoreCase)

/** A generator over the items of the input, which may be of any kind that has some. */
const generate = (input: Value, items: (input: Iterable<Value>) => Iterable<Value>): Iter =>
  new Iter(
    (function* () {
      if (isTrue(input)) yield* items(iterate(input))
    })()
  )

const without = (args: Arguments, count: number): Arguments => ({
  positional: args.positional.slice(count),
  named: args.named
})

/** `map`: by the name of a filter, or an attribute. */
const map: Filter = (input, args) => {
  const attribute = args.named.get("attribute")
  if (args.positional.length === 0 && attribute !== undefined) {
    const bound = bind("map", ["attribute", "default"], args)
    const read = reader(attribute, bound.get("default"))
    return generate(input, function* (items) {
      for (const item of items) yield (chargeSteps(1), read(item))
    })
  }
  return generate(input, function* (items) {
    const name = needStr(args.positional[0] ?? fail("maps without a filter"), "the name of a filter").text
    const f = Object.hasOwn(filters, name) ? filters[name as FilterName] : refuse(`the filter ${name}`)
    for (const item of items) yield (chargeSteps(1), f(item, without(args, 1)))
  })
}

/** `select`, `reject` and their forms for attributes. */
const selecting =
  (isSelected: boolean, hasAttribute: boolean): Filter =>
  (input, args) =>
    generate(input, function* (items) {
      const attribute = hasAttribute ? (args.positional[0] ?? fail("selects without an attribute")) : None
      const rest = without(args, hasAttribute ? 1 : 0)
      const read = reader(attribute)
      const name = rest.positional[0] === undefined ? undefined : needStr(rest.positional[0], "the name of a test").text
      const test = name === undefined ? undefined : testNamed(name)
      for (const item of items) {
        chargeSteps(1)
        const value = read(item)
        const passes = test === undefined ? isTrue(value) : test(value, without(rest, 1))
        if (passes === isSelected) yield item
      }
    })

const testNamed = (name: string) =>
  Object.hasOwn(tests, name) ? tests[name as keyof typeof tests] : refuse(`the test ${name}`)

const extreme = (isBetter: (a: Value, b: Value) => boolean): Filter =>
  filter(["case_sensitive", "attribute"], (input, args) => {
    const items = toList(input)
    if (items.length === 0) return new Undefined("uses an item of an empty sequence")
    const read = reader(args.or("attribute", None), undefined, caseOf(args))
    return items.reduce((best, item) => (isBetter(read(item), read(best)) ? item : best))
  })

const unique = filter(["case_sensitive", "attribute"], (input, args) => {
  const read = reader(args.or("attribute", None), undefined, caseOf(args))
  const seen = new Set<string>()
  return new Iter(
    (function* () {
      for (const item of iterate(input)) {
        chargeSteps(1)
        const hash = tryHash(read(item)) ?? fail("compares values that cannot be keys")
        if (!seen.has(hash)) yield (seen.add(hash), item)
      }
    })()
  )
})

const sort = filter(["reverse", "case_sensitive", "attribute"], (input, args) => {
  const attribute = args.or("attribute", None)
  const readers = (attribute instanceof Str ? strings.split(attribute, new Str(","), -1, false) : [attribute]).map(
    (each) => reader(each, undefined, caseOf(args))
  )
  return sorted(toList(input), (item) => readers.map((read) => read(item)), isTrue(args.or("reverse", false)))
})

const dictSort = filter(["case_sensitive", "by", "reverse"], (input, args) => {
  if (!(input instanceof Dict)) return fail(`sorts a ${typeName(input)} as a dict`)
  const by = args.get("by")
  const at =
    by === undefined || equals(by, new Str("key")) ? 0 : equals(by, new Str("value")) ? 1 : fail("sorts a dict")
  const read = caseOf(args)
  const items = input.entries.map((entry) => new Tuple(entry))
  return sorted(items, (item) => read((item as Tuple).items[at]!), isTrue(args.or("reverse", false)))
})

const groupBy = filter(["attribute", "default", "case_sensitive"], (input, args) => {
  const attribute = args.need("attribute")
  const plain = reader(attribute, args.get("default"))
  const key = reader(attribute, args.get("default"), caseOf(args))
  const groups: Array<readonly [Value, Array<Value>]> = []
  for (const item of sorted(toList(input), key, false)) {
    const last = groups.at(-1)
    if (last !== undefined && equals(key(last[1][0]!), key(item))) last[1].push(item)
    else groups.push([plain(item), [item]])
  }
  return groups.map((group) => new Tuple(group, ["grouper", "list"]))
})

const sum = filter(["attribute", "start"], (input, args) => {
  const read = reader(args.or("attribute", None))
  if (args.get("start") instanceof Str) return fail("sums up strings")
  return toList(input).reduce<Value>((total, item) => arithmetic("add", total, read(item)), args.or("start", 0n))
})

const joining = filter(["d", "attribute"], (input, args) => {
  const attribute = args.or("attribute", None)
  const read = reader(attribute)
  return join(
    toStr(args.or("d", new Str(""))),
    toList(input).map((item) => toStr(read(item)))
  )
})

const first = filter([], (input) => {
  // a loop would close a generator, whose other items Python can still read
  const next = iterate(input)[Symbol.iterator]().next()
  return next.done === true ? new Undefined("uses the first item of an empty sequence") : next.value
})

const last = filter([], (input) => {
  if (tryLength(input) === undefined) return fail(`takes the last item of a ${typeName(input)}`)
  return toList(input).at(-1) ?? new Undefined("uses the last item of an empty sequence")
})

const reverse = filter([], (input) => {
  if (input instanceof Str) {
    return concat(toList(input).reverse() as ReadonlyArray<Str>)
  }
  const items = toList(input).reverse()
  // what has no length cannot be reversed, and is made a list first
  return tryLength(input) === undefined ? items : new Iter(items)
})

const batch = filter(["linecount", "fill_with"], (input, args) => {
  const size = args.index("linecount") ?? fail("makes batches without a size")
  const fill = args.or("fill_with", None)
  if (size < 1) return refuse("batches of no items")
  const items = toList(input)
  const out: Array<Array<Value>> = []
  for (let i = 0; i < items.length; i += size) out.push(items.slice(i, i + size))
  const rest = out.at(-1)
  if (rest !== undefined && fill !== None) {
    chargeSteps(size)
    while (rest.length < size) rest.push(fill)
  }
  return new Iter(out)
})

const slice = filter(["slices", "fill_with"], (input, args) => {
  const count = args.index("slices") ?? fail("slices without a number")
  if (count < 1) return fail("slices into no parts")
  const fill = args.or("fill_with", None)
  const items = toList(input)
  const [size, extra] = [Math.floor(items.length / count), items.length % count]
  chargeSteps(count)
  const out = Array.from({ length: count }, (_, i): Array<Value> => {
    const from = i * size + Math.min(i, extra)
    const part = items.slice(from, from + size + (i < extra ? 1 : 0))
    return fill !== None && i >= extra ? [...part, fill] : part
  })
  return new Iter(out)
})

const indent = filter(["width", "first", "blank"], (input, args) => {
  const width = args.or("width", 4n)
  const by = width instanceof Str ? width : repeat(new Str(" "), toIndex(width, "a width"))
  const newline = new Str("\n")
  const lines = strings.splitLines(concat([needStr(input, "a text to indent"), newline]), false)
  const isBlankToo = isTrue(args.or("blank", false))
  const out = lines.map((line, i) => (i > 0 && (isBlankToo || line.text !== "") ? concat([by, line]) : line))
  const text = join(newline, out)
  return isTrue(args.or("first", false)) ? concat([by, text]) : text
})

const parseFloatText = (text: string): number | undefined => {
  const trimmed = strings.strip(new Str(text), undefined, "both").text
  if (/^[-+]?(?:inf|infinity|nan)$/i.test(trimmed)) {
    return /nan/i.test(trimmed) ? NaN : trimmed.startsWith("-") ? -Infinity : Infinity
  }
  if (/\P{ASCII}/u.test(trimmed)) return refuse("a number in characters beyond ASCII")
  const plain = /^[-+]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[-+]?\d+(?:_\d+)*)?$/i
  return plain.test(trimmed) ? Number(trimmed.replaceAll("_", "")) : undefined
}

const parseIntText = (text: string, base: number): bigint | undefined => {
  const trimmed = strings.strip(new Str(text), undefined, "both").text
  if (base !== 10) return refuse("an integer in another base than 10")
  if (/\P{ASCII}/u.test(trimmed)) return refuse("a number in characters beyond ASCII")
  if (!/^[-+]?\d+(?:_\d+)*$/.test(trimmed) || trimmed.length > 4300) return undefined
  const digits = trimmed.replaceAll("_", "")
  return digits.startsWith("-") ? -BigInt(digits.slice(1)) : BigInt(digits.replace("+", ""))
}

const truncate = (value: number, otherwise: Value): Value =>
  Number.isFinite(value) ? BigInt(Math.trunc(value)) : otherwise

const int = filter(["default", "base"], (input, args) => {
  const otherwise = args.or("default", 0n)
  if (input instanceof Undefined) return input.fail()
  if (typeof input === "number") {
    return Number.isFinite(input)
      ? truncate(input, otherwise)
      : Number.isNaN(input)
        ? otherwise
        : fail("takes the integer of inf")
  }
  if (isNumber(input)) return toInt(input)!
  if (!(input instanceof Str)) return otherwise
  const whole = parseIntText(input.text, args.index("base") ?? 10)
  if (whole !== undefined) return whole
  const value = parseFloatText(input.text)
  return value === undefined ? otherwise : truncate(value, otherwise)
})

const float = filter(["default"], (input, args) => {
  if (input instanceof Undefined) return input.fail()
  if (isNumber(input)) return toFloat(input)
  return (input instanceof Str ? parseFloatText(input.text) : undefined) ?? args.or("default", 0)
})

const round = filter(["precision", "method"], (input, args) => {
  const method = args.or("method", new Str("common"))
  const precision = args.index("precision") ?? 0
  if (input instanceof Undefined) return input.fail()
  if (!isNumber(input)) return fail(`rounds a ${typeName(input)}`)
  if (equals(method, new Str("common"))) {
    return typeof input === "number" ? roundFloat(input, precision) : roundInt(toInt(input)!, precision)
  }
  const f = equals(method, new Str("ceil")) ? Math.ceil : equals(method, new Str("floor")) ? Math.floor : undefined
  if (f === undefined) return fail("rounds with an unknown method")
  if (precision < 0 || precision > 20) return refuse("this precision")
  const factor = toFloat(10n ** BigInt(precision))
  const value = f(toFloat(input) * factor)
  return Number.isSafeInteger(value) ? (value === 0 ? 0 : value) / factor : refuse("the rounding of a large number")
})

const toJson = filter(["ensure_ascii", "indent", "separators", "sort_keys"], (input, args) => {
  const indent = args.or("indent", None)
  const separators = args.or("separators", None)
  const pair = separators === None ? undefined : toList(separators).map((each) => needStr(each, "a separator"))
  if (pair !== undefined && pair.length !== 2) return fail("prints JSON with other than two separators")
  return dumps(input, {
    ensureAscii: isTrue(args.or("ensure_ascii", false)),
    indent:
      indent === None
        ? undefined
        : indent instanceof Str
          ? indent
          : repeat(new Str(" "), Math.max(0, toIndex(indent, "an indent"))),
    separators: pair === undefined ? undefined : [pair[0]!, pair[1]!],
    sortKeys: isTrue(args.or("sort_keys", false))
  })
})

const format: Filter = (input, args) => {
  if (args.positional.length > 0 && args.named.size > 0) return fail("formats with and without names")
  const named = new Dict([...args.named].map(([name, value]) => [new Str(name), value]))
  return formatPercent(toStr(input), args.named.size > 0 ? named : new Tuple(args.positional))
}

/** The filter splits at white space and some brackets, unlike the method. */
const title = ofText((text) => {
  const parts: Array<Str> = []
  let from = 0
  for (const match of text.text.matchAll(new RegExp(`[-({\\[<${strings.spaces}]+|$`, "g"))) {
    const word = text.slice(from, match.index)
    from = match.index + match[0].length
    const head = word.length === 0 ? 0 : word.unitOf(1)
    parts.push(strings.upper(word.slice(0, head)), strings.lower(word.slice(head)), text.slice(match.index, from))
  }
  return concat(parts)
})

const length = filter([], (input) => BigInt(tryLength(input) ?? fail(`takes the length of a ${typeName(input)}`)))

const byDefault = filter(["default_value", "boolean"], (input, args) =>
  input instanceof Undefined || (isTrue(args.or("boolean", false)) && !isTrue(input))
    ? args.or("default_value", new Str(""))
    : input
)

/** @internal */
export const filters: { readonly [name in FilterName]: Filter } = {
  abs: filter([], (input) => {
    if (input instanceof Undefined) return input.fail()
    if (!isNumber(input)) return fail(`takes the size of a ${typeName(input)}`)
    const whole = toInt(input)
    return whole === undefined ? Math.abs(input as number) : whole < 0n ? -whole : whole
  }),
  attr: filter(["name"], (input, args) => {
    const name = toStr(args.need("name")).text
    return attributeOf(input, name) ?? new Undefined(`reads ${JSON.stringify(name)} of a ${typeName(input)}`)
  }),
  batch,
  capitalize: ofText(strings.capitalize),
  center: filter(["width"], (input, args) => center(toStr(input), args.index("width") ?? 80, new Str(" "))),
  count: length,
  d: byDefault,
  default: byDefault,
  dictsort: dictSort,
  first,
  float,
  format,
  groupby: groupBy,
  indent,
  int,
  items: filter([], (input) => {
    if (input instanceof Undefined) return new Iter([])
    return input instanceof Dict
      ? new Iter(input.entries.map((entry) => new Tuple(entry)))
      : fail(`takes the items of a ${typeName(input)}`)
  }),
  join: joining,
  last,
  length,
  list: filter([], toList),
  lower: ofText(strings.lower),
  map,
  max: extreme((a, b) => isLess(b, a)),
  min: extreme(isLess),
  reject: selecting(false, false),
  rejectattr: selecting(false, true),
  replace: filter(["old", "new", "count"], (input, args) =>
    strings.replace(toStr(input), toStr(args.need("old")), toStr(args.need("new")), args.index("count") ?? -1)
  ),
  reverse,
  round,
  safe: filter([], (input) => {
    const text = toStr(input)
    return new Safe(text.text, text.origins)
  }),
  select: selecting(true, false),
  selectattr: selecting(true, true),
  slice,
  sort,
  string: ofText((text) => text),
  sum,
  title,
  tojson: toJson,
  trim: filter(["chars"], (input, args) => {
    const chars = args.or("chars", None)
    return strings.strip(toStr(input), chars === None ? undefined : needStr(chars, "chars"), "both")
  }),
  unique,
  upper: ofText(strings.upper),
  wordcount: ofText((text) => BigInt(text.text.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0))
}
