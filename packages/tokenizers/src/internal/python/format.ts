/** Numbers in decimal notation, `%` on strings, and `str.format`. */
import { fail, refuse } from "./failure.ts"
import { repr, toStr } from "./print.ts"
import { concat, repeat, Str } from "./text.ts"
import {
  type Arguments,
  Dict,
  isNumber,
  None,
  printInt,
  toFloat,
  toInt,
  Tuple,
  typeName,
  Undefined,
  type Value
} from "./values.ts"

/** Numerator and denominator of a finite float. */
const toFraction = (value: number): readonly [bigint, bigint] => {
  let denominator = 1n
  let numerator = value
  while (!Number.isInteger(numerator)) {
    numerator *= 2
    denominator *= 2n
  }
  return [BigInt(numerator), denominator]
}

/** The value times 10^digits, rounded to even. */
const scaled = (value: number, digits: number): bigint => {
  const [n, d] = toFraction(Math.abs(value))
  const numerator = digits >= 0 ? n * 10n ** BigInt(digits) : n
  const denominator = digits >= 0 ? d : d * 10n ** BigInt(-digits)
  const quotient = numerator / denominator
  const twice = (numerator % denominator) * 2n
  return twice > denominator || (twice === denominator && quotient % 2n === 1n) ? quotient + 1n : quotient
}

/** Rounds to a number of digits after the point, exactly and to even, as Python does. @internal */
export const roundFloat = (value: number, digits: number): number => {
  if (!Number.isFinite(value) || digits > 330) return value
  if (digits < -330) return value < 0 ? -0 : 0
  const rounded = Number(`${scaled(value, digits)}e${-digits}`)
  return value < 0 || Object.is(value, -0) ? -rounded : rounded
}

/** @internal */
export const roundInt = (value: bigint, digits: number): bigint => {
  if (digits >= 0) return value
  const unit = 10n ** BigInt(Math.min(-digits, 5000))
  const [size, sign] = value < 0n ? [-value, -1n] : [value, 1n]
  const [quotient, twice] = [size / unit, (size % unit) * 2n]
  const isUp = twice > unit || (twice === unit && quotient % 2n === 1n)
  return sign * (isUp ? quotient + 1n : quotient) * unit
}

/** The digits of a finite float with a fixed number after the point, without sign. */
const fixed = (value: number, digits: number): string => {
  if (!Number.isFinite(value)) return refuse("the digits of a float that is not finite")
  if (digits > 400) return refuse("more than 400 digits after the point")
  const text = scaled(value, digits)
    .toString()
    .padStart(digits + 1, "0")
  return digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`
}

const isNegative = (value: number | bigint): boolean => value < 0 || Object.is(value, -0)

interface Directive {
  readonly flags: string
  readonly width: number
  readonly precision: number | undefined
}

/** The digits of an integer in a base, without sign. */
const inBase = (value: bigint, type: string): string => {
  const size = value < 0n ? -value : value
  if (type === "x") return size.toString(16)
  if (type === "X") return size.toString(16).toUpperCase()
  return type === "o" ? size.toString(8) : type === "b" ? size.toString(2) : printInt(size)
}

const percentNumber = (type: string, value: Value, { flags, precision, width }: Directive): Str => {
  if (!isNumber(value)) return fail(`formats a ${typeName(value)} as a number`)
  let digits: string
  let negative: boolean
  if ("fF".includes(type)) {
    const float = toFloat(value)
    ;[digits, negative] = [fixed(float, precision ?? 6), isNegative(float)]
  } else {
    const int = typeof value === "number" && "diu".includes(type) ? BigInt(Math.trunc(value)) : toInt(value)
    if (int === undefined) return fail(`formats a float as %${type}`)
    ;[digits, negative] = [inBase(int, type).padStart(precision ?? 0, "0"), int < 0n]
  }
  const sign = negative ? "-" : flags.includes("+") ? "+" : flags.includes(" ") ? " " : ""
  if (flags.includes("0") && !flags.includes("-")) digits = digits.padStart(width - sign.length, "0")
  return new Str(sign + digits)
}

const percentValue = (type: string, value: Value, directive: Directive): Str => {
  if (type === "s" || type === "r") {
    const text = type === "s" ? toStr(value) : repr(value)
    return directive.precision === undefined ? text : text.sliceByPoint(0, Math.min(text.length, directive.precision))
  }
  if (directive.flags.includes("#")) return refuse("the flag # of %")
  return "diuxXofF".includes(type) ? percentNumber(type, value, directive) : refuse(`%${type}`)
}

const maxWidth = 100_000

const parseNumber = (text: string | undefined): number | undefined => {
  if (text === undefined || text === "") return undefined
  return Number(text) > maxWidth ? fail(`formats with a width of more than ${maxWidth}`) : Number(text)
}

/** `format % values`. @internal */
export const formatPercent = (format: Str, values: Value): Str => {
  const positional = values instanceof Tuple ? values.items : [values]
  let next = 0
  const parts: Array<Str> = []
  let from = 0
  let isNamed = false
  for (const match of format.text.matchAll(/%(?:\(([^()]*)\))?([-+ #0]*)(\d*)(?:\.(\d*))?[hlL]?(.|$)/gsu)) {
    const [all, name, flags = "", width, precision, type = ""] = match
    parts.push(format.slice(from, match.index))
    from = match.index + all.length
    if (type === "%") {
      if (all !== "%%") return refuse("a directive of % before %")
      parts.push(new Str("%"))
      continue
    }
    let value: Value | undefined
    if (name !== undefined) {
      isNamed = true
      if (!(values instanceof Dict)) return fail("formats by name, which needs a mapping")
      value = values.getName(name) ?? fail("formats by a name that the mapping lacks")
    } else value = positional[next++] ?? (next > positional.length ? fail("formats with too few values") : None)
    const directive = { flags, width: parseNumber(width) ?? 0, precision: parseNumber(precision ?? undefined) }
    if (precision === "") return refuse("a directive of % with an empty precision")
    parts.push(pad(percentValue(type, value, directive), flags.includes("-") ? "<" : ">", directive.width))
  }
  if (isNamed && next > 0) return refuse("a format with and without names")
  if (!isNamed && next < positional.length && !(values instanceof Dict)) return fail("formats too many values")
  if (values instanceof Dict && next > 1) return fail("formats with too few values")
  return concat([...parts, format.slice(from)])
}

/** @internal */
export const pad = (text: Str, align: string, width: number, fill: Str = new Str(" ")): Str => {
  const missing = width - text.length
  if (missing <= 0) return text
  // Python's `center` and `^` put the odd space on different sides; this is that of `^`
  const left = align === ">" ? missing : align === "<" ? 0 : Math.floor(missing / 2)
  return concat([repeat(fill, left), text, repeat(fill, missing - left)])
}

const specPattern = /^(?:(.)?([<>=^]))?([-+ ])?(0)?(\d+)?(,)?(?:\.(\d+))?([a-zA-Z%])?$/su

const groupDigits = (digits: string): string => {
  const [whole = "", rest] = digits.split(".")
  const grouped = whole.replace(/\B(?=(?:\d{3})+$)/g, ",")
  return rest === undefined ? grouped : `${grouped}.${rest}`
}

/** `format(value, spec)`. */
const formatSpec = (value: Value, spec: string): Str => {
  if (spec === "") return toStr(value)
  if (value instanceof Undefined) return value.fail()
  const match = specPattern.exec(spec)
  if (match === null) return refuse(`the format ${JSON.stringify(spec)}`)
  const [, fill = " ", align, sign, zero, digits, comma, precisionText, type] = match
  const [width, precision] = [parseNumber(digits) ?? 0, parseNumber(precisionText)]
  if (value instanceof Str) {
    if (sign !== undefined || comma !== undefined || zero !== undefined || align === "=" || (type ?? "s") !== "s") {
      return refuse(`the format ${JSON.stringify(spec)} of a string`)
    }
    const cut = precision === undefined ? value : value.sliceByPoint(0, Math.min(value.length, precision))
    return pad(cut, align ?? "<", width, new Str(fill))
  }
  if (!isNumber(value) || typeof value === "boolean" || zero !== undefined || align === "=") {
    return refuse(`the format ${JSON.stringify(spec)} of a ${typeName(value)}`)
  }
  let text: string
  if (type === "f" || type === "F") text = fixed(toFloat(value), precision ?? 6)
  else if (typeof value === "bigint" && precision === undefined && "dxXbo".includes(type ?? "d")) {
    text = inBase(value, type ?? "d")
  } else return refuse(`the format ${JSON.stringify(spec)} of a ${typeName(value)}`)
  if (comma !== undefined) text = groupDigits(text)
  const prefix = isNegative(value) ? "-" : sign === "+" || sign === " " ? sign : ""
  return pad(new Str(prefix + text), align ?? ">", width, new Str(fill))
}

/** `format.format(*args, **kwargs)`. @internal */
export const formatBraces = (format: Str, args: Arguments): Str => {
  const parts: Array<Str> = []
  let from = 0
  let next = 0
  let isNumbered = false
  for (const match of format.text.matchAll(/\{\{|\}\}|\{([^{}]*)\}|[{}]/g)) {
    const [all, field] = match
    parts.push(format.slice(from, match.index))
    from = match.index + all.length
    if (all === "{{" || all === "}}") {
      parts.push(new Str(all.charAt(0)))
      continue
    }
    if (field === undefined) return fail("formats with a single brace, or one inside a field")
    const [, name = "", conversion, spec = ""] = /^([^!:]*)(?:!(.))?(?::(.*))?$/s.exec(field) ?? refuse("this format")
    if (/[.[]/.test(name)) return refuse("attributes in a format")
    if (/^\d+$/.test(name)) isNumbered = true
    const index = name === "" ? next++ : Number(name)
    const value = name === "" || /^\d+$/.test(name) ? args.positional[index] : args.named.get(name)
    if (value === undefined) return fail("formats a field that is not given")
    if (conversion !== undefined && conversion !== "s" && conversion !== "r") return refuse(`!${conversion}`)
    const converted = conversion === "r" ? repr(value) : conversion === "s" ? toStr(value) : value
    parts.push(formatSpec(converted, spec))
  }
  if (isNumbered && next > 0) return fail("formats with and without numbers")
  return concat([...parts, format.slice(from)])
}
