/** Parses templates: statements and their bodies. */
import { fail, refuse } from "../python/failure.ts"
import type { Body, Expression, Signature, Statement, Target } from "./ast.ts"
import { ExpressionParser } from "./expressions.ts"
import { tokenize } from "./lexer.ts"
import { checkFilters, usesOf } from "./names.ts"

/** What a block is in, for `break` and `continue`. */
type Place = "loop" | "outside" | "buffer"

const unsupported = new Set("autoescape block extends from import include print do debug trans".split(" "))

/** Names that a macro gets without a parameter. */
const implicit = new Set(["caller", "kwargs", "varargs"])

class Parser extends ExpressionParser {
  #place: Place = "outside"

  /** Statements up to one of the given tags, whose name is the current token afterwards. */
  body(ends: ReadonlyArray<string>): Body {
    const out: Array<Statement> = []
    for (;;) {
      const token = this.next()
      if (token.type === "eof") {
        if (ends.length === 0) return out
        return fail(`ends before ${ends.join(" or ")}`)
      }
      if (token.type === "data") out.push({ type: "data", text: token.text })
      else if (token.type === "printBegin") {
        out.push({ type: "print", value: this.tuple() })
        this.expect("printEnd")
      } else {
        if (this.current.type === "name" && ends.includes(this.current.text)) return out
        out.push(this.nest(() => this.#statement()))
        this.expect("end")
      }
    }
  }

  /** The body of a block, and the tag that ended it. */
  #block(place: Place | undefined, ...ends: ReadonlyArray<string>): readonly [Body, string] {
    this.skip("operator", ":")
    this.expect("end")
    const before = this.#place
    this.#place = place ?? before
    const body = this.body(ends)
    this.#place = before
    return [body, this.next().text]
  }

  #statement(): Statement {
    const { line, text: tag } = this.expect("name")
    switch (tag) {
      case "set":
        return this.#set()
      case "if":
        return this.#if()
      case "for":
        return this.#for()
      case "with":
        return this.#with()
      case "macro":
        return this.#macro()
      case "call":
        return this.#callBlock()
      case "filter": {
        const filter = this.filter(undefined, true)
        return { type: "filterBlock", filter, body: this.#block("buffer", "endfilter")[0] }
      }
      case "generation":
        return { type: "generation", body: this.#block("outside", "endgeneration")[0] }
      case "break":
      case "continue":
        if (this.#place === "buffer") return refuse(`${tag} inside a block that is set or filtered, in line ${line}`)
        return this.#place === "loop" ? { type: tag } : fail(`has ${tag} outside a loop in line ${line}`)
      default:
        return unsupported.has(tag)
          ? refuse(`the tag ${tag} in line ${line}`)
          : fail(`has the unknown tag ${JSON.stringify(tag)} in line ${line}`)
    }
  }

  #set(): Statement {
    const target = this.#target(true)
    if (this.skip("operator", "=")) return { type: "set", target, value: this.tuple() }
    const filter = this.isOperator("|") ? this.filter(undefined) : undefined
    return { type: "setBlock", target, filter, body: this.#block("buffer", "endset")[0] }
  }

  #if(): Statement {
    const branches: Array<readonly [Expression, Body]> = []
    for (;;) {
      const test = this.tuple({ withCondition: false })
      const [body, end] = this.#block(undefined, "elif", "else", "endif")
      branches.push([test, body])
      if (end === "elif") continue
      return { type: "if", branches, otherwise: end === "else" ? this.#block(undefined, "endif")[0] : [] }
    }
  }

  #for(): Statement {
    const target = this.#target(false)
    this.expect("name", "in")
    const items = this.tuple({ withCondition: false, end: "recursive" })
    const test = this.skip("name", "if") ? this.expression() : undefined
    const isRecursive = this.skip("name", "recursive")
    const [body, end] = this.#block("loop", "else", "endfor")
    const otherwise = end === "else" ? this.#block(undefined, "endfor")[0] : []
    return { type: "for", target, items, test, isRecursive, body, otherwise }
  }

  #with(): Statement {
    const values: Array<readonly [Target, Expression]> = []
    while (!this.is("end")) {
      if (values.length > 0) this.expect("operator", ",")
      const target = this.#target(false, "=")
      this.expect("operator", "=")
      values.push([target, this.expression()])
    }
    return { type: "with", values, body: this.#block(undefined, "endwith")[0] }
  }

  #macro(): Statement {
    const name = this.#name()
    const signature = this.#signature()
    const [body] = this.#block("outside", "endmacro")
    return { type: "macro", name, ...signature, body, uses: usesOf(body, signature) }
  }

  #callBlock(): Statement {
    const signature = this.isOperator("(") ? this.#signature() : { parameters: [], defaults: [] }
    const call = this.expression()
    if (call.type !== "call") return fail("has a call block without a call")
    const [body] = this.#block("outside", "endcall")
    return { type: "callBlock", call, ...signature, body, uses: usesOf(body, signature) }
  }

  #signature(): Signature {
    this.expect("operator", "(")
    const parameters: Array<string> = []
    const defaults: Array<Expression> = []
    while (!this.isOperator(")")) {
      if (parameters.length > 0) this.expect("operator", ",")
      const name = this.#name()
      if (implicit.has(name) || parameters.includes(name)) return refuse(`the parameter ${name} of a macro`)
      parameters.push(name)
      if (this.skip("operator", "=")) defaults.push(this.expression())
      else if (defaults.length > 0) return fail("has a parameter without a default after one with")
    }
    this.next()
    return { parameters, defaults }
  }

  #name(): string {
    const { text } = this.expect("name")
    return /^(?:true|false|none|True|False|None)$/.test(text) ? fail(`assigns to ${text}`) : text
  }

  /** What `set`, `for` and `with` assign to. */
  #target(withMembers: boolean, end = "in"): Target {
    const items: Array<Target> = []
    let isTuple = false
    for (;;) {
      if (items.length > 0) this.expect("operator", ",")
      if (this.is("end") || this.isOperator(")") || this.isName(end)) break
      items.push(this.#singleTarget(withMembers))
      if (!this.isOperator(",") || end === "=") break
      isTuple = true
    }
    if (items.length === 0) return this.unexpected()
    return isTuple ? { type: "tuple", items } : items[0]!
  }

  #singleTarget(withMembers: boolean): Target {
    if (this.skip("operator", "(")) {
      const target = this.#target(false)
      this.expect("operator", ")")
      return target
    }
    const name = this.#name()
    if (!withMembers || !this.skip("operator", ".")) return { type: "name", name }
    return { type: "member", namespace: name, name: this.expect("name").text }
  }
}

/** @throws when the source is not a template, or uses what is not supported @internal */
export const parse = (source: string): Body => {
  const body = new Parser(tokenize(source)).body([])
  checkFilters(body, false)
  return body
}
