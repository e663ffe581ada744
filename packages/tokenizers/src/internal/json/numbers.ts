/** Numbers of JSON as Python reads and prints them. */

/**
 * A number of JSON that a JavaScript number cannot stand for, because it would lose digits or be printed in another way
 * than Python prints it: integers beyond 2^53, `1.0`, `1e-07`.
 *
 * @since 0.1.0
 * @category models
 */
export class Numeral {
  /** as it was written */
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
  /** whether Python reads it as an integer */
  get isInteger(): boolean {
    return !/[.eE]/.test(this.text)
  }
  /** the nearest JavaScript number */
  toNumber(): number {
    return Number(this.text)
  }
  toString(): string {
    return this.isInteger ? String(BigInt(this.text)) : formatFloat(Number(this.text))
  }
  /** @throws when `JSON.stringify` would lose digits: use `Json.stringify` */
  toJSON(): number {
    const value = this.toNumber()
    if (this.isInteger && BigInt(this.text) !== BigInt(value)) {
      throw new TypeError(`JSON.stringify would change the number ${this.text}: use Json.stringify`)
    }
    return value
  }
}

/** A float as Python prints it: `1.0`, `1e-07`, `1e+16`. @internal */
export const formatFloat = (value: number): string => {
  if (Number.isNaN(value)) return "NaN"
  if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity"
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0"
  const [mantissa = "", power = ""] = value.toExponential().split("e")
  const exponent = Number(power)
  if (exponent >= 16 || exponent < -4) {
    return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`
  }
  const sign = value < 0 ? "-" : ""
  const digits = mantissa.replace(/[-.]/g, "")
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0")
  return `${sign}${whole}.${digits.slice(exponent + 1) || "0"}`
}

/** Python refuses to read longer integers. */
const maxIntegerDigits = 4300

/**
 * The value of a number's text: a JavaScript number if it is the same number and is printed in the same way.
 *
 * @throws when Python cannot read it
 * @internal
 */
export const readNumber = (text: string): number | Numeral => {
  const value = Number(text)
  if (/[.eE]/.test(text)) {
    // a whole JavaScript number stands for an integer
    const isSame = Number.isFinite(value) && !Number.isInteger(value) && String(value) === formatFloat(value)
    return isSame ? value : new Numeral(text)
  }
  // Python has no integer -0
  if (Number.isSafeInteger(value)) return value === 0 ? 0 : value
  if (text.length > maxIntegerDigits) throw new SyntaxError(`Integer with more than ${maxIntegerDigits} digits`)
  return new Numeral(text)
}
