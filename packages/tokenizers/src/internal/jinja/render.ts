/** Runs the statements of a template. */
import { bind } from "../python/arguments.ts"
import { chargeSteps, fail, refuse } from "../python/failure.ts"
import { toList } from "../python/operators.ts"
import { toStr } from "../python/print.ts"
import { Builder, origin, Str } from "../python/text.ts"
import {
  type Arguments,
  Callable,
  Dict,
  isTrue,
  Iter,
  iterate,
  Namespace,
  Tuple,
  typeName,
  Undefined,
  type Value
} from "../python/values.ts"
import type { Body, MacroUses, Signature, Statement, Target } from "./ast.ts"
import { argumentsOf, call, evaluate, evaluateFilter } from "./evaluate.ts"
import { Loop } from "./loops.ts"
import { Scope } from "./scope.ts"

/** How a body ended. */
type Ending = "end" | "break" | "continue"

/** How deep macros and recursive loops may call one another. */
const maxDepth = 100

let depth = 0

const deeper = <A>(run: () => A): A => {
  if (depth >= maxDepth) return fail(`calls macros more than ${maxDepth} deep`)
  depth++
  try {
    return run()
  } finally {
    depth--
  }
}

const assign = (target: Target, value: Value, scope: Scope): void => {
  if (target.type === "name") return scope.set(target.name, value)
  if (target.type === "member") {
    const namespace = scope.get(target.namespace)
    if (!(namespace instanceof Namespace)) {
      return fail(`assigns to ${target.namespace}.${target.name}, which is not of a namespace`)
    }
    if (target.name.startsWith("_")) return fail(`assigns to ${target.name} of a namespace`)
    namespace.values.set(target.name, value)
    return
  }
  const items = toList(value)
  if (items.length !== target.items.length) {
    return fail(`assigns ${items.length} values to ${target.items.length} names`)
  }
  for (const [i, each] of target.items.entries()) assign(each, items[i]!, scope)
}

/** The text of a body in a scope of its own. */
const renderBlock = (body: Body, scope: Scope): Str => {
  const out = new Builder()
  run(body, scope, out)
  return out.finish()
}

/** The items of a loop that pass its test, one by one: the body may change what the test reads. */
function* passing(statement: Statement & { readonly type: "for" }, items: Value, scope: Scope): Iterable<Value> {
  for (const item of iterate(items)) {
    chargeSteps(1)
    const inner = new Scope(scope)
    assign(statement.target, item, inner)
    if (isTrue(evaluate(statement.test!, inner))) yield item
  }
}

const runFor = (
  statement: Statement & { readonly type: "for" },
  items: Value,
  scope: Scope,
  out: Builder,
  level: number
): void => {
  const recurse = (args: Arguments): Value => {
    const nested = bind("loop", ["iterable"], args).need("iterable")
    const inner = new Builder()
    deeper(() => runFor(statement, nested, scope, inner, level + 1))
    return inner.finish()
  }
  const source = statement.test === undefined ? items : new Iter(passing(statement, items, scope))
  const loop = new Loop(source, level, statement.isRecursive ? recurse : undefined)
  let isEmpty = true
  for (let item = loop.next(); item !== undefined; item = loop.next()) {
    chargeSteps(1)
    isEmpty = false
    const inner = new Scope(scope)
    inner.set("loop", loop.fields)
    assign(statement.target, item, inner)
    if (run(statement.body, inner, out) === "break") break
  }
  if (isEmpty) run(statement.otherwise, new Scope(scope), out)
}

/** The arguments of a macro, as names of its scope. */
const bindMacro = (
  name: string,
  { parameters, defaults }: Signature,
  uses: MacroUses,
  args: Arguments,
  scope: Scope
) => {
  const given = new Map(args.named)
  const caller = given.get("caller")
  if (uses.caller) {
    given.delete("caller")
    scope.set("caller", caller ?? new Undefined("calls the caller of a macro that has none"))
  }
  const missing: Array<readonly [string, number]> = []
  for (const [i, parameter] of parameters.entries()) {
    const byPosition = args.positional[i]
    const byName = given.get(parameter)
    given.delete(parameter)
    if (byPosition !== undefined && byName !== undefined) fail(`calls ${name} with two values of ${parameter}`)
    const value = byPosition ?? byName
    if (value !== undefined) scope.set(parameter, value)
    else missing.push([parameter, i])
  }
  for (const [parameter, i] of missing) {
    const otherwise = defaults[i - (parameters.length - defaults.length)]
    const none = new Undefined(`uses the parameter ${parameter}, which was not given`)
    scope.set(parameter, otherwise === undefined ? none : evaluate(otherwise, scope))
  }
  const rest = args.positional.slice(parameters.length)
  if (uses.varargs) scope.set("varargs", new Tuple(rest))
  else if (rest.length > 0) fail(`calls ${name} with too many arguments`)
  if (uses.kwargs) scope.set("kwargs", new Dict([...given].map(([key, value]) => [new Str(key), value])))
  else if (given.size > 0) fail(`calls ${name} with the unknown argument ${[...given.keys()][0]}`)
}

const makeMacro = (name: string, signature: Signature, uses: MacroUses, body: Body, scope: Scope): Callable =>
  new Callable(name, (args) =>
    deeper(() => {
      chargeSteps(1)
      const inner = new Scope(scope)
      bindMacro(name, signature, uses, args, inner)
      return renderBlock(body, inner)
    })
  )

const runCallBlock = (statement: Statement & { readonly type: "callBlock" }, scope: Scope, out: Builder): void => {
  const caller = makeMacro("caller", statement, statement.uses, statement.body, scope)
  if (statement.call.type !== "call") return refuse("this call block")
  const callee = evaluate(statement.call.callee, scope)
  const result = call(callee, argumentsOf(statement.call, scope, [["caller", caller]]))
  if (!(result instanceof Str)) return fail(`prints a ${typeName(result)} as a call block`)
  out.push(result)
}

const runStatement = (statement: Statement, scope: Scope, out: Builder): Ending => {
  chargeSteps(1)
  switch (statement.type) {
    case "data":
      out.push(new Str(statement.text))
      break
    case "print":
      out.push(toStr(evaluate(statement.value, scope)))
      break
    case "set":
      assign(statement.target, evaluate(statement.value, scope), scope)
      break
    case "if": {
      const taken = statement.branches.find(([test]) => isTrue(evaluate(test, scope)))
      return run(taken?.[1] ?? statement.otherwise, scope, out)
    }
    case "for":
      runFor(statement, evaluate(statement.items, scope), scope, out, 0)
      break
    case "break":
    case "continue":
      return statement.type
    default:
      return runScoped(statement, scope, out)
  }
  return "end"
}

/** Blocks whose names end with them. */
const runScoped = (
  statement: Exclude<Statement, { readonly type: "data" | "print" | "set" | "if" | "for" | "break" | "continue" }>,
  scope: Scope,
  out: Builder
): Ending => {
  switch (statement.type) {
    case "setBlock": {
      const text = renderBlock(statement.body, new Scope(scope))
      const filter = statement.filter
      assign(statement.target, filter === undefined ? text : evaluateFilter(filter, scope, text), scope)
      return "end"
    }
    case "with": {
      const inner = new Scope(scope)
      const values = statement.values.map(([target, value]) => [target, evaluate(value, scope)] as const)
      for (const [target, value] of values) assign(target, value, inner)
      return run(statement.body, inner, out)
    }
    case "filterBlock": {
      const inner = new Scope(scope)
      const value = evaluateFilter(statement.filter, inner, renderBlock(statement.body, inner))
      // the reference joins what a block prints, which must be text
      out.push(value instanceof Str ? value : fail(`prints a ${typeName(value)} as a filter block`))
      return "end"
    }
    case "macro":
      scope.set(statement.name, makeMacro(statement.name, statement, statement.uses, statement.body, scope))
      return "end"
    case "callBlock":
      runCallBlock(statement, scope, out)
      return "end"
    case "generation":
      out.push(renderBlock(statement.body, new Scope(scope)).marked(origin.generation))
      return "end"
  }
}

const run = (body: Body, scope: Scope, out: Builder): Ending => {
  for (const statement of body) {
    const ending = runStatement(statement, scope, out)
    if (ending !== "end") return ending
  }
  return "end"
}

/** @throws when the template fails, or takes too long @internal */
export const render = (body: Body, scope: Scope): Str => {
  depth = 0
  return renderBlock(body, scope)
}
