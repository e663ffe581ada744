/** Evaluates the expressions of a template. */
import { chargeSteps, fail, refuse } from "../python/failure.ts"
import { needStr } from "../python/methods.ts"
import { arithmetic, comparisons, negate, toList } from "../python/operators.ts"
import { toStr } from "../python/print.ts"
import { concat, Safe, Str } from "../python/text.ts"
import {
  type Arguments,
  Callable,
  Dict,
  Fields,
  isNumber,
  isTrue,
  None,
  Slice,
  toInt,
  Tuple,
  typeName,
  Undefined,
  type Value
} from "../python/values.ts"
import { getAttribute, getItem } from "./access.ts"
import type { CallArguments, Expression } from "./ast.ts"
import { filters } from "./filters.ts"
import { filterNames, type FilterName, type TestName, testNames } from "./known.ts"
import type { Scope } from "./scope.ts"
import { tests } from "./tests.ts"

/** @internal */
export const argumentsOf = (
  call: CallArguments,
  scope: Scope,
  more: ReadonlyArray<[string, Value]> = []
): Arguments => {
  const positional = call.positional.map((each) => evaluate(each, scope))
  const named = new Map<string, Value>(call.named.map(([name, each]) => [name, evaluate(each, scope)]))
  if (call.spread !== undefined) positional.push(...toList(evaluate(call.spread, scope)))
  if (call.spreadNamed !== undefined) {
    const dict = evaluate(call.spreadNamed, scope)
    if (!(dict instanceof Dict)) return fail(`spreads a ${typeName(dict)} as named arguments`)
    for (const [key, value] of dict.entries) {
      const name = needStr(key, "the name of an argument").text
      if (named.has(name)) return fail(`calls with two values of ${name}`)
      named.set(name, value)
    }
  }
  for (const [name, value] of more) {
    if (named.has(name)) return fail(`calls with two values of ${name}`)
    named.set(name, value)
  }
  return { positional, named }
}

/** @internal */
export const call = (callee: Value, args: Arguments): Value => {
  if (callee instanceof Callable) return callee.call(args)
  if (callee instanceof Fields && callee.call !== undefined) return callee.call(args)
  if (callee instanceof Undefined) return callee.fail()
  return fail(`calls a ${typeName(callee)}, which is not a function`)
}

const constant = (value: null | boolean | bigint | number | string): Value =>
  value === null ? None : typeof value === "string" ? new Str(value) : value

const compareAll = (expression: Expression & { readonly type: "comparison" }, scope: Scope): boolean => {
  let left = evaluate(expression.left, scope)
  for (const [operator, operand] of expression.operands) {
    const right = evaluate(operand, scope)
    if (!comparisons[operator]!(left, right)) return false
    left = right
  }
  return true
}

/** The filters that do with a text that is safe what they do with others. */
const safeFilters = new Set("count d default float int length replace safe string tojson".split(" "))

const applyFilter = (expression: Expression & { readonly type: "filter" }, scope: Scope, input: Value): Value => {
  if (!filterNames.has(expression.name)) return refuse(`the filter ${expression.name}`)
  if (input instanceof Safe && !safeFilters.has(expression.name)) {
    return refuse(`the filter ${expression.name} of a text that is safe`)
  }
  return filters[expression.name as FilterName](input, argumentsOf(expression, scope))
}

const applyTest = (expression: Expression & { readonly type: "test" }, scope: Scope): boolean => {
  if (!testNames.has(expression.name)) return refuse(`the test ${expression.name}`)
  return tests[expression.name as TestName](evaluate(expression.input, scope), argumentsOf(expression, scope))
}

const unary = (expression: Expression & { readonly type: "unary" }, scope: Scope): Value => {
  const operand = evaluate(expression.operand, scope)
  if (expression.operator === "not") return !isTrue(operand)
  if (expression.operator === "neg") return negate(operand)
  if (operand instanceof Undefined) return operand.fail()
  if (!isNumber(operand)) return fail(`puts + before a ${typeName(operand)}`)
  return toInt(operand) ?? operand
}

/** A filter, whose input may be given: that of a block. @internal */
export const evaluateFilter = (expression: Expression, scope: Scope, block: Value | undefined): Value => {
  if (expression.type !== "filter") return evaluate(expression, scope)
  const input =
    expression.input === undefined
      ? (block ?? fail("has a filter without a value"))
      : evaluateFilter(expression.input, scope, block)
  return applyFilter(expression, scope, input)
}

const lookUp = (name: string, scope: Scope): Value =>
  scope.get(name) ?? new Undefined(`uses ${name}, which is undefined`)

/** @internal */
export const evaluate = (expression: Expression, scope: Scope): Value => {
  chargeSteps(1)
  switch (expression.type) {
    case "constant":
      return constant(expression.value)
    case "name":
      return lookUp(expression.name, scope)
    case "attribute":
      return getAttribute(evaluate(expression.object, scope), expression.name)
    case "item":
      return getItem(evaluate(expression.object, scope), evaluate(expression.key, scope))
    case "call":
      return call(evaluate(expression.callee, scope), argumentsOf(expression, scope))
    case "filter":
      return evaluateFilter(expression, scope, undefined)
    case "test":
      return applyTest(expression, scope)
    case "unary":
      return unary(expression, scope)
    case "comparison":
      return compareAll(expression, scope)
    case "arithmetic":
      return arithmetic(expression.operator, evaluate(expression.left, scope), evaluate(expression.right, scope))
    case "logic": {
      const left = evaluate(expression.left, scope)
      return isTrue(left) === (expression.operator === "and") ? evaluate(expression.right, scope) : left
    }
    case "condition": {
      const branch = isTrue(evaluate(expression.test, scope)) ? expression.yes : expression.no
      return branch === undefined ? new Undefined("uses an inline if without an else") : evaluate(branch, scope)
    }
    default:
      return evaluateCollection(expression, scope)
  }
}

const evaluateCollection = (
  expression: Expression & { readonly type: "list" | "tuple" | "concat" | "dict" | "slice" },
  scope: Scope
): Value => {
  switch (expression.type) {
    case "list":
      return expression.items.map((each) => evaluate(each, scope))
    case "tuple":
      return new Tuple(expression.items.map((each) => evaluate(each, scope)))
    case "concat":
      return concat(expression.items.map((each) => toStr(evaluate(each, scope))))
    case "dict":
      return new Dict(expression.entries.map(([key, value]) => [evaluate(key, scope), evaluate(value, scope)]))
    case "slice": {
      const [start, stop, step] = expression.parts.map((part) => (part === undefined ? None : evaluate(part, scope)))
      return new Slice([start!, stop!, step!])
    }
  }
}
