/** Splits the source of a template into tokens, with the white space control of jinja2 and trimmed, stripped blocks. */
import { fail, refuse } from "../python/failure.ts"
import { spaces } from "../python/strings.ts"

/** @internal */
export interface Token {
  readonly type:
    | "data"
    | "begin"
    | "end"
    | "printBegin"
    | "printEnd"
    | "name"
    | "string"
    | "integer"
    | "float"
    | "operator"
    | "eof"
  /** of a string: what it stands for */
  readonly text: string
  readonly line: number
}

const space = `[${spaces}]`

const patterns = {
  space: new RegExp(`${space}+`, "y"),
  float: /(?<!\.)(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy,
  integer: /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy,
  name: /[\p{L}\p{N}\p{M}\p{Pc}]+/uy,
  string: /'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"/sy,
  operator: /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y
}

const openTag = /\{[{%#]/g
const rawBegin = new RegExp(`\\{%[-+]?${space}*raw${space}*(?:-%\\}${space}*|%\\})`, "y")
const rawEnd = new RegExp(`\\{%([-+]?)${space}*endraw${space}*(?:\\+%\\}|-%\\}${space}*|%\\}\\n?)`, "g")
const commentEnd = new RegExp(`\\+#\\}|-#\\}${space}*|#\\}\\n?`, "g")
const blockEnd = new RegExp(`\\+%\\}|-%\\}${space}*|%\\}\\n?`, "y")
const printEnd = new RegExp(`-\\}\\}${space}*|\\}\\}`, "y")

const trailingSpace = new RegExp(`${space}+$`)
const onlySpace = new RegExp(`^${space}+$`)

const closers: { readonly [open: string]: string } = { "(": ")", "[": "]", "{": "}" }

const simpleEscapes: { readonly [char: string]: string } = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v"
}

/** What stands between the quotes of a string. */
const unescape = (inside: string): string => {
  if (!inside.includes("\\")) return inside
  const escape = /\\(?:([0-7]{1,3})|x([\da-f]{2})|u([\da-f]{4})|U([\da-f]{8})|(.))/gis
  return inside.replace(escape, (all, octal?: string, x?: string, u?: string, long?: string, char?: string) => {
    if (all.charAt(1) === "X") return all
    if (octal !== undefined) return String.fromCodePoint(parseInt(octal, 8))
    const hex = x ?? u ?? long
    if (hex !== undefined) {
      if (all.charAt(1) === "U" && hex.length === 4) return refuse("the escape \\U in a string")
      const code = parseInt(hex, 16)
      return code > 0x10ffff ? fail("has a string with a character beyond Unicode") : String.fromCodePoint(code)
    }
    if (char === undefined || /[xuUN]/.test(char) || char > "\x7f") return refuse(`the escape ${all} in a string`)
    return simpleEscapes[char] ?? all
  })
}

class Lexer {
  readonly tokens: Array<Token> = []
  readonly source: string
  #at = 0
  #line = 1
  /** whether the last match ended a line */
  #startsLine = true

  constructor(source: string) {
    this.source = source
  }

  #push(type: Token["type"], text: string): void {
    this.tokens.push({ type, text, line: this.#line })
  }

  #advance(to: number): void {
    const passed = this.source.slice(this.#at, to)
    this.#line += passed.split("\n").length - 1
    if (passed.length > 0) this.#startsLine = passed.endsWith("\n")
    this.#at = to
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    return pattern.exec(this.source)?.[0]
  }

  /** The text before a tag, without the space that the tag's sign or `lstrip_blocks` removes. */
  #before(text: string, sign: string, mayStrip: boolean): string {
    if (sign === "-") return text.replace(trailingSpace, "")
    if (sign === "+" || !mayStrip) return text
    const line = text.lastIndexOf("\n") + 1
    const isStripped = (line > 0 || this.#startsLine) && onlySpace.test(text.slice(line))
    return isStripped ? text.slice(0, line) : text
  }

  #data(text: string): void {
    if (text !== "") this.#push("data", text)
  }

  run(): ReadonlyArray<Token> {
    while (this.#at < this.source.length) this.#root()
    this.#push("eof", "")
    return this.tokens
  }

  #root(): void {
    openTag.lastIndex = this.#at
    const tag = openTag.exec(this.source)
    if (tag === null) {
      this.#data(this.source.slice(this.#at))
      return this.#advance(this.source.length)
    }
    const text = this.source.slice(this.#at, tag.index)
    const after = this.source.charAt(tag.index + 2)
    const sign = after === "-" || after === "+" ? after : ""
    const kind = tag[0].charAt(1)
    this.#data(this.#before(text, sign, kind !== "{"))
    this.#advance(tag.index)
    const raw = kind === "%" ? this.#match(rawBegin) : undefined
    if (raw !== undefined) {
      this.#advance(this.#at + raw.length)
      return this.#raw()
    }
    this.#advance(tag.index + 2 + sign.length)
    if (kind === "#") return this.#comment()
    return this.#tag(kind === "{")
  }

  #comment(): void {
    commentEnd.lastIndex = this.#at
    const end = commentEnd.exec(this.source) ?? fail(`has a comment without end in line ${this.#line}`)
    this.#advance(end.index + end[0].length)
  }

  #raw(): void {
    rawEnd.lastIndex = this.#at
    const end = rawEnd.exec(this.source) ?? fail(`has a raw block without end in line ${this.#line}`)
    this.#data(this.#before(this.source.slice(this.#at, end.index), end[1] ?? "", true))
    this.#advance(end.index + end[0].length)
  }

  /** The inside of `{{ … }}` or `{% … %}`. */
  #tag(isPrint: boolean): void {
    this.#push(isPrint ? "printBegin" : "begin", "")
    const open: Array<string> = []
    for (;;) {
      const end = open.length === 0 ? this.#match(isPrint ? printEnd : blockEnd) : undefined
      if (end !== undefined) {
        this.#push(isPrint ? "printEnd" : "end", "")
        return this.#advance(this.#at + end.length)
      }
      if (this.#at >= this.source.length) return fail(`ends inside a tag in line ${this.#line}`)
      const skipped = this.#match(patterns.space)
      this.#advance(this.#at + (skipped === undefined ? this.#token(open) : skipped.length))
    }
  }

  /** Reads one token and returns its length. */
  #token(open: Array<string>): number {
    const float = this.#match(patterns.float)
    if (float !== undefined) return (this.#push("float", float.replaceAll("_", "")), float.length)
    const integer = this.#match(patterns.integer)
    if (integer !== undefined) return (this.#push("integer", integer.replaceAll("_", "")), integer.length)
    const name = this.#match(patterns.name)
    if (name !== undefined) {
      if (!/^[a-zA-Z_]\w*$/.test(name)) return refuse(`the name ${JSON.stringify(name)} in line ${this.#line}`)
      return (this.#push("name", name), name.length)
    }
    const string = this.#match(patterns.string)
    if (string !== undefined) return (this.#push("string", unescape(string.slice(1, -1))), string.length)
    const operator = this.#match(patterns.operator)
    if (operator === undefined) {
      return fail(`has the unexpected character ${JSON.stringify(this.source.charAt(this.#at))} in line ${this.#line}`)
    }
    if (closers[operator] !== undefined) open.push(closers[operator])
    else if (")]}".includes(operator) && open.pop() !== operator) {
      return fail(`has the unexpected ${operator} in line ${this.#line}`)
    }
    this.#push("operator", operator)
    return operator.length
  }
}

/** @throws when the source is not a template @internal */
export const tokenize = (source: string): ReadonlyArray<Token> => {
  const lines = source.replace(/\r\n?/g, "\n")
  // one line break at the end of a file is not part of the template
  return new Lexer(lines.endsWith("\n") ? lines.slice(0, -1) : lines).run()
}
