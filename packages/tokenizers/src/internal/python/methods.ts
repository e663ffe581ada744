/** The methods of strings, lists and dicts. */
import { bind, bindPositional, type Bound } from "./arguments.ts"
import { chargeSteps, fail, refuse } from "./failure.ts"
import { formatBraces, pad } from "./format.ts"
import { equals, toList } from "./operators.ts"
import * as strings from "./strings.ts"
import { concat, join, Safe, Str } from "./text.ts"
import {
  type Arguments,
  Callable,
  Dict,
  DictView,
  isTrue,
  None,
  Tuple,
  typeName,
  Undefined,
  type Value
} from "./values.ts"

type Method<A> = (self: A, args: Arguments) => Value

/** @throws when the value is not a string @internal */
export const needStr = (value: Value, what: string): Str =>
  value instanceof Str
    ? value
    : value instanceof Undefined
      ? value.fail()
      : fail(`gives a ${typeName(value)} as ${what}, which must be a string`)

const optionalStr = (value: Value | undefined, what: string): Str | undefined =>
  value === undefined || value === None ? undefined : needStr(value, what)

const byName =
  (name: string, parameters: ReadonlyArray<string>, f: (self: Str, args: Bound) => Value): Method<Str> =>
  (self, args) =>
    f(self, bind(name, parameters, args))

const byPosition =
  (name: string, parameters: ReadonlyArray<string>, f: (self: Str, args: Bound) => Value): Method<Str> =>
  (self, args) =>
    f(self, bindPositional(name, parameters, args))

const stripping = (name: string, side: "left" | "right" | "both"): Method<Str> =>
  byPosition(name, ["chars"], (self, args) => strings.strip(self, optionalStr(args.get("chars"), "chars"), side))

const splitting = (name: string, fromRight: boolean): Method<Str> =>
  byName(name, ["sep", "maxsplit"], (self, args) =>
    strings.split(self, optionalStr(args.get("sep"), "sep"), args.index("maxsplit") ?? -1, fromRight)
  )

/** The part of a text between two code points as Python's slices have them. */
const window = (self: Str, args: Bound): { readonly part: Str; readonly from: number } | undefined => {
  const at = (value: number | undefined, otherwise: number) =>
    value === undefined ? otherwise : Math.min(self.length, value < 0 ? Math.max(0, value + self.length) : value)
  const [start, end] = [args.index("start"), args.index("end")]
  if (start !== undefined && start > self.length) return undefined
  const from = at(start, 0)
  const to = at(end, self.length)
  return from > to ? undefined : { part: self.sliceByPoint(from, to), from }
}

const finding = (name: string, fromRight: boolean, mayLack: boolean): Method<Str> =>
  byPosition(name, ["sub", "start", "end"], (self, args) => {
    const sub = needStr(args.need("sub"), "sub").text
    const found = window(self, args)
    const unit = found === undefined ? -1 : fromRight ? found.part.text.lastIndexOf(sub) : found.part.text.indexOf(sub)
    if (unit === -1) return mayLack ? -1n : fail("looks for the index of a text that does not occur")
    return BigInt(found!.from + found!.part.pointOf(unit))
  })

const affix = (name: string, test: (text: string, affix: string) => boolean): Method<Str> =>
  byPosition(name, ["affix", "start", "end"], (self, args) => {
    const wanted = args.need("affix")
    const all = wanted instanceof Tuple ? wanted.items : [wanted]
    const found = window(self, args)
    const texts = all.map((each) => needStr(each, "a prefix or suffix").text)
    return found !== undefined && texts.some((each) => test(found.part.text, each))
  })

const partition = (name: string, fromRight: boolean): Method<Str> =>
  byPosition(name, ["sep"], (self, args) => {
    const separator = needStr(args.need("sep"), "sep")
    if (separator.text === "") return fail("splits by an empty separator")
    const { text } = self
    const at = fromRight ? text.lastIndexOf(separator.text) : text.indexOf(separator.text)
    const empty = new Str("")
    if (at === -1) return new Tuple(fromRight ? [empty, empty, self] : [self, empty, empty])
    const end = at + separator.text.length
    return new Tuple([self.slice(0, at), self.slice(at, end), self.slice(end)])
  })

const padding = (name: string, align: string): Method<Str> =>
  byPosition(name, ["width", "fillchar"], (self, args) => {
    const fill = optionalStr(args.get("fillchar"), "fillchar") ?? new Str(" ")
    const width = args.index("width") ?? 0
    if (fill.length !== 1) return fail("pads with other than one character")
    return align === "^" ? center(self, width, fill) : pad(self, align, width, fill)
  })

/** `str.center`, whose odd space is where Python has it. @internal */
export const center = (text: Str, width: number, fill: Str): Str => {
  const missing = width - text.length
  if (missing <= 0) return text
  const left = Math.floor(missing / 2) + (missing & width & 1)
  return pad(pad(text, ">", text.length + left, fill), "<", width, fill)
}

const zeroFill: Method<Str> = byPosition("zfill", ["width"], (self, args) => {
  const sign = /^[-+]/.test(self.text) ? 1 : 0
  const width = args.index("width") ?? 0
  return concat([self.slice(0, sign), pad(self.slice(sign), ">", width - sign, new Str("0"))])
})

const joining: Method<Str> = byPosition("join", ["iterable"], (self, args) => {
  const parts = toList(args.need("iterable")).map((part) => needStr(part, "a part to join"))
  return join(self, parts)
})

const counting: Method<Str> = byPosition("count", ["sub", "start", "end"], (self, args) => {
  const sub = needStr(args.need("sub"), "sub")
  const part = window(self, args)?.part
  if (part === undefined) return 0n
  if (sub.text === "") return BigInt(part.length + 1)
  return BigInt(strings.split(part, sub, -1, false).length - 1)
})

const kindMethods = Object.fromEntries(
  Object.entries(strings.kinds).map(([name, test]) => [name, byPosition(name, [], (self) => test(self.text))])
)

const strMethods: { readonly [name: string]: Method<Str> } = {
  ...kindMethods,
  capitalize: byPosition("capitalize", [], strings.capitalize),
  casefold: byPosition("casefold", [], (self) =>
    /\P{ASCII}/u.test(self.text) ? refuse("casefold beyond ASCII") : strings.lower(self)
  ),
  center: padding("center", "^"),
  count: counting,
  endswith: affix("endswith", (text, suffix) => text.endsWith(suffix)),
  find: finding("find", false, true),
  format: (self, args) => formatBraces(self, args),
  index: finding("index", false, false),
  join: joining,
  ljust: padding("ljust", "<"),
  lower: byPosition("lower", [], strings.lower),
  lstrip: stripping("lstrip", "left"),
  partition: partition("partition", false),
  removeprefix: byPosition("removeprefix", ["prefix"], (self, args) => {
    const prefix = needStr(args.need("prefix"), "prefix").text
    return self.text.startsWith(prefix) ? self.slice(prefix.length) : self
  }),
  removesuffix: byPosition("removesuffix", ["suffix"], (self, args) => {
    const suffix = needStr(args.need("suffix"), "suffix").text
    return suffix !== "" && self.text.endsWith(suffix) ? self.slice(0, self.text.length - suffix.length) : self
  }),
  replace: byPosition("replace", ["old", "new", "count"], (self, args) =>
    strings.replace(self, needStr(args.need("old"), "old"), needStr(args.need("new"), "new"), args.index("count") ?? -1)
  ),
  rfind: finding("rfind", true, true),
  rindex: finding("rindex", true, false),
  rjust: padding("rjust", ">"),
  rpartition: partition("rpartition", true),
  rsplit: splitting("rsplit", true),
  rstrip: stripping("rstrip", "right"),
  split: splitting("split", false),
  splitlines: byName("splitlines", ["keepends"], (self, args) =>
    strings.splitLines(self, isTrue(args.or("keepends", false)))
  ),
  startswith: affix("startswith", (text, prefix) => text.startsWith(prefix)),
  strip: stripping("strip", "both"),
  swapcase: byPosition("swapcase", [], strings.swapCase),
  title: byPosition("title", [], strings.title),
  upper: byPosition("upper", [], strings.upper),
  zfill: zeroFill
}

const dictMethods: { readonly [name: string]: Method<Dict> } = {
  copy: (self, args) => (bindPositional("copy", [], args), new Dict(self.entries)),
  get: (self, args) => {
    const bound = bindPositional("get", ["key", "default"], args)
    return self.get(bound.need("key")) ?? bound.or("default", None)
  },
  items: (self, args) => (bindPositional("items", [], args), new DictView(self, "items")),
  keys: (self, args) => (bindPositional("keys", [], args), new DictView(self, "keys")),
  values: (self, args) => (bindPositional("values", [], args), new DictView(self, "values"))
}

const sequenceMethods: { readonly [name: string]: Method<Value> } = {
  count: (self, args) => {
    const wanted = bindPositional("count", ["value"], args).need("value")
    return BigInt(toList(self).filter((item) => equals(item, wanted)).length)
  },
  index: (self, args) => {
    const bound = bindPositional("index", ["value", "start", "stop"], args)
    if (bound.get("start") !== undefined) return refuse("index of a list with a start")
    const items = toList(self)
    chargeSteps(items.length)
    const at = items.findIndex((item) => equals(item, bound.need("value")))
    return at === -1 ? fail("looks for the index of a value that the list lacks") : BigInt(at)
  }
}

/** What the sandbox of the reference does not let a template call. */
const mutators = new Set("append clear extend insert pop remove reverse sort popitem setdefault update".split(" "))

/** Methods and attributes that Python has and this does not. */
const missing: { readonly [type: string]: ReadonlySet<string> } = {
  str: new Set("encode expandtabs format_map maketrans translate".split(" ")),
  dict: new Set(["fromkeys"]),
  int: new Set(
    "as_integer_ratio bit_count bit_length conjugate denominator from_bytes imag numerator real to_bytes".split(" ")
  ),
  float: new Set("as_integer_ratio conjugate fromhex hex imag is_integer real".split(" "))
}

const tableOf = (value: Value): { readonly [name: string]: Method<never> } => {
  if (value instanceof Str) return strMethods
  if (value instanceof Dict) return dictMethods
  if (Array.isArray(value)) {
    return {
      ...sequenceMethods,
      copy: (self: Value, args: Arguments) => (bindPositional("copy", [], args), toList(self))
    }
  }
  return value instanceof Tuple ? sequenceMethods : {}
}

/**
 * A method of a value, bound to it; undefined if Python has none of this name.
 *
 * @throws when it is not supported
 * @internal
 */
export const methodOf = (value: Value, name: string): Value | undefined => {
  if (value instanceof Safe) return refuse(`the method ${name} of a text that is safe`)
  const table = tableOf(value)
  const method = Object.hasOwn(table, name) ? table[name] : undefined
  if (method !== undefined) return new Callable(name, (args) => method(value as never, args))
  const type = typeof value === "boolean" ? "int" : typeName(value)
  if (missing[type]?.has(name) === true) return refuse(`the method ${name} of a ${type}`)
  const isMutable = Array.isArray(value) || value instanceof Dict
  const has =
    value instanceof Dict
      ? !/^(?:append|extend|insert|remove|reverse|sort)$/.test(name)
      : !/^(?:popitem|setdefault|update)$/.test(name)
  if (isMutable && has && mutators.has(name)) return new Undefined(`calls ${name}, which changes a ${type}`)
  return undefined
}
