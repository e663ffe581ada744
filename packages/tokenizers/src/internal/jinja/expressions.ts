/** Parses expressions: names, operators, filters and tests, with the precedence of jinja2. */
import { fail, refuse } from "../python/failure.ts"
import type { CallArguments, Expression } from "./ast.ts"
import type { Token } from "./lexer.ts"

/** How deep expressions and blocks may nest. */
const maxDepth = 200

const comparisonNames: { readonly [operator: string]: string } = {
  "==": "eq",
  "!=": "ne",
  "<": "lt",
  ">": "gt",
  "<=": "lteq",
  ">=": "gteq"
}

const arithmeticNames: { readonly [operator: string]: string } = {
  "+": "add",
  "-": "sub",
  "*": "mul",
  "/": "div",
  "//": "floordiv",
  "%": "mod",
  "**": "pow"
}

/** @internal */
export class ExpressionParser {
  readonly #tokens: ReadonlyArray<Token>
  #at = 0
  #depth = 0

  constructor(tokens: ReadonlyArray<Token>) {
    this.#tokens = tokens
  }

  get current(): Token {
    return this.#tokens[this.#at]!
  }

  next(): Token {
    const token = this.current
    if (token.type !== "eof") this.#at++
    return token
  }

  #look(): Token {
    return this.#tokens[Math.min(this.#at + 1, this.#tokens.length - 1)]!
  }

  is(type: Token["type"], text?: string): boolean {
    return this.current.type === type && (text === undefined || this.current.text === text)
  }

  isOperator(text: string): boolean {
    return this.is("operator", text)
  }

  isName(text: string): boolean {
    return this.is("name", text)
  }

  skip(type: Token["type"], text: string): boolean {
    if (!this.is(type, text)) return false
    this.next()
    return true
  }

  expect(type: Token["type"], text?: string): Token {
    if (!this.is(type, text)) return this.unexpected()
    return this.next()
  }

  unexpected(): never {
    const { line, text, type } = this.current
    const what = type === "eof" ? "end of the template" : text === "" ? `${type} of a tag` : JSON.stringify(text)
    return fail(`has an unexpected ${what} in line ${line}`)
  }

  nest<A>(parse: () => A): A {
    if (++this.#depth > maxDepth) return fail(`nests deeper than ${maxDepth} levels`)
    const out = parse()
    this.#depth--
    return out
  }

  expression(withCondition = true): Expression {
    return this.nest(() => (withCondition ? this.#condition() : this.#or()))
  }

  #condition(): Expression {
    let out = this.#or()
    while (this.skip("name", "if")) {
      const test = this.#or()
      const no = this.skip("name", "else") ? this.nest(() => this.#condition()) : undefined
      out = { type: "condition", test, yes: out, no }
    }
    return out
  }

  #or(): Expression {
    let left = this.#and()
    while (this.skip("name", "or")) left = { type: "logic", operator: "or", left, right: this.#and() }
    return left
  }

  #and(): Expression {
    let left = this.#not()
    while (this.skip("name", "and")) left = { type: "logic", operator: "and", left, right: this.#not() }
    return left
  }

  #not(): Expression {
    if (!this.skip("name", "not")) return this.#comparison()
    return this.nest(() => ({ type: "unary", operator: "not", operand: this.#not() }))
  }

  #comparison(): Expression {
    const left = this.#sum()
    const operands: Array<readonly [string, Expression]> = []
    for (;;) {
      const operator = this.current.type === "operator" ? comparisonNames[this.current.text] : undefined
      if (operator !== undefined) {
        this.next()
        operands.push([operator, this.#sum()])
      } else if (this.skip("name", "in")) operands.push(["in", this.#sum()])
      else if (this.isName("not") && this.#look().type === "name" && this.#look().text === "in") {
        this.next()
        this.next()
        operands.push(["notin", this.#sum()])
      } else break
    }
    return operands.length === 0 ? left : { type: "comparison", left, operands }
  }

  #binary(operators: ReadonlyArray<string>, operand: () => Expression): Expression {
    let left = operand()
    while (this.current.type === "operator" && operators.includes(this.current.text)) {
      const operator = arithmeticNames[this.next().text]!
      left = { type: "arithmetic", operator, left, right: operand() }
    }
    return left
  }

  #sum(): Expression {
    return this.#binary(["+", "-"], () => this.#concat())
  }

  #concat(): Expression {
    const items = [this.#product()]
    while (this.skip("operator", "~")) items.push(this.#product())
    return items.length === 1 ? items[0]! : { type: "concat", items }
  }

  #product(): Expression {
    return this.#binary(["*", "/", "//", "%"], () => this.#binary(["**"], () => this.#unary(true)))
  }

  #unary(withFilters: boolean): Expression {
    const sign = this.isOperator("-") ? "neg" : this.isOperator("+") ? "pos" : undefined
    let out: Expression
    if (sign === undefined) out = this.#primary()
    else {
      this.next()
      out = this.nest(() => ({ type: "unary", operator: sign, operand: this.#unary(false) }))
    }
    out = this.#postfix(out)
    return withFilters ? this.#filters(out) : out
  }

  #primary(): Expression {
    const token = this.current
    if (token.type === "name") return (this.next(), nameOrConstant(token.text))
    if (token.type === "string") {
      let value = ""
      while (this.current.type === "string") value += this.next().text
      return { type: "constant", value }
    }
    if (token.type === "integer") return (this.next(), { type: "constant", value: BigInt(token.text) })
    if (token.type === "float") return (this.next(), { type: "constant", value: Number(token.text) })
    if (this.skip("operator", "(")) {
      const out = this.tuple({ isParenthesized: true })
      this.expect("operator", ")")
      return out
    }
    if (this.skip("operator", "[")) return { type: "list", items: this.#items("]", () => this.expression()) }
    if (this.skip("operator", "{")) return { type: "dict", entries: this.#items("}", () => this.#entry()) }
    return this.unexpected()
  }

  #entry(): readonly [Expression, Expression] {
    const key = this.expression()
    this.expect("operator", ":")
    return [key, this.expression()]
  }

  #items<A>(close: string, parse: () => A): ReadonlyArray<A> {
    const out: Array<A> = []
    while (!this.isOperator(close)) {
      if (out.length > 0) this.expect("operator", ",")
      if (this.isOperator(close)) break
      out.push(parse())
    }
    this.next()
    return out
  }

  /** One expression, or several with commas between them, which are a tuple. */
  tuple(
    options: { readonly isParenthesized?: boolean; readonly withCondition?: boolean; readonly end?: string } = {}
  ): Expression {
    const items: Array<Expression> = []
    let isTuple = false
    for (;;) {
      if (items.length > 0) this.expect("operator", ",")
      if (this.#endsTuple(options.end)) break
      items.push(this.expression(options.withCondition ?? true))
      if (!this.isOperator(",")) break
      isTuple = true
    }
    if (!isTuple && items.length > 0) return items[0]!
    if (!isTuple && options.isParenthesized !== true) return this.unexpected()
    return { type: "tuple", items }
  }

  #endsTuple(end: string | undefined): boolean {
    return this.is("printEnd") || this.is("end") || this.isOperator(")") || (end !== undefined && this.isName(end))
  }

  #postfix(start: Expression): Expression {
    let out = start
    for (;;) {
      if (this.skip("operator", ".")) out = this.#dotted(out)
      else if (this.skip("operator", "[")) out = this.#subscript(out)
      else if (this.isOperator("(")) out = { type: "call", callee: out, ...this.callArguments() }
      else return out
    }
  }

  #dotted(object: Expression): Expression {
    const token = this.next()
    if (token.type === "name") return { type: "attribute", object, name: token.text }
    if (token.type !== "integer") return fail(`has no name after a dot in line ${token.line}`)
    return { type: "item", object, key: { type: "constant", value: BigInt(token.text) } }
  }

  #subscript(object: Expression): Expression {
    const keys: Array<Expression> = []
    while (!this.isOperator("]")) {
      if (keys.length > 0) this.expect("operator", ",")
      keys.push(this.#sliceOrKey())
    }
    this.next()
    if (keys.length === 1) return { type: "item", object, key: keys[0]! }
    return { type: "item", object, key: { type: "tuple", items: keys } }
  }

  #sliceOrKey(): Expression {
    const ends = () => this.isOperator("]") || this.isOperator(",")
    const first = this.isOperator(":") ? undefined : this.expression()
    if (!this.skip("operator", ":")) return first!
    const second = this.isOperator(":") || ends() ? undefined : this.expression()
    const third = this.skip("operator", ":") && !ends() ? this.expression() : undefined
    return { type: "slice", parts: [first, second, third] }
  }

  #filters(start: Expression): Expression {
    let out = start
    for (;;) {
      if (this.isOperator("|")) out = this.filter(out)
      else if (this.isName("is")) out = this.#test(out)
      else if (this.isOperator("(")) out = { type: "call", callee: out, ...this.callArguments() }
      else return out
    }
  }

  /** Filters after a value, or the first of a filter block, which has no `|` before it. */
  filter(input: Expression | undefined, startsBlock = false): Expression {
    let out = input
    let isFirst = startsBlock
    while (isFirst || this.skip("operator", "|")) {
      isFirst = false
      const name = this.#dottedName()
      out = { type: "filter", input: out, name, ...this.#optionalArguments() }
    }
    return out!
  }

  #dottedName(): string {
    let name = this.expect("name").text
    while (this.skip("operator", ".")) name += `.${this.expect("name").text}`
    return name
  }

  #optionalArguments(): CallArguments {
    return this.isOperator("(") ? this.callArguments() : noArguments
  }

  #test(input: Expression): Expression {
    this.next()
    const isNegated = this.skip("name", "not")
    const name = this.#dottedName()
    const test: Expression = { type: "test", input, name, ...this.#testArguments() }
    return isNegated ? { type: "unary", operator: "not", operand: test } : test
  }

  /** A test may have one argument without parentheses. */
  #testArguments(): CallArguments {
    if (this.isOperator("(")) return this.callArguments()
    const starts =
      ["name", "string", "integer", "float"].includes(this.current.type) || this.isOperator("[") || this.isOperator("{")
    if (!starts || this.isName("else") || this.isName("or") || this.isName("and")) return noArguments
    if (this.isName("is")) return fail(`chains tests with \`is\` in line ${this.current.line}`)
    return { ...noArguments, positional: [this.#postfix(this.#primary())] }
  }

  callArguments(): CallArguments {
    const { line } = this.expect("operator", "(")
    const positional: Array<Expression> = []
    const named: Array<readonly [string, Expression]> = []
    let spread: Expression | undefined
    let spreadNamed: Expression | undefined
    const ensure = (isRight: boolean) => (isRight ? undefined : fail(`has a wrong call in line ${line}`))
    for (let isFirst = true; !this.isOperator(")"); isFirst = false) {
      if (!isFirst) this.expect("operator", ",")
      if (this.isOperator(")")) break
      if (this.skip("operator", "*")) {
        ensure(spread === undefined && spreadNamed === undefined)
        spread = this.expression()
      } else if (this.skip("operator", "**")) {
        ensure(spreadNamed === undefined)
        spreadNamed = this.expression()
      } else if (this.current.type === "name" && this.#look().type === "operator" && this.#look().text === "=") {
        ensure(spreadNamed === undefined)
        const name = this.next().text
        this.next()
        if (named.some(([other]) => other === name)) fail(`repeats the argument ${name} in line ${line}`)
        named.push([name, this.expression()])
      } else {
        ensure(spread === undefined && spreadNamed === undefined && named.length === 0)
        positional.push(this.expression())
      }
    }
    this.next()
    return { positional, named, spread, spreadNamed }
  }
}

const noArguments: CallArguments = { positional: [], named: [], spread: undefined, spreadNamed: undefined }

const nameOrConstant = (name: string): Expression => {
  if (name === "true" || name === "True") return { type: "constant", value: true }
  if (name === "false" || name === "False") return { type: "constant", value: false }
  if (name === "none" || name === "None") return { type: "constant", value: null }
  if (name === "self") return refuse("the name self")
  return { type: "name", name }
}
