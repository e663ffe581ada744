/** What a template refers to: filters and tests that exist, and the names that a macro gets without a parameter. */
import { refuse } from "../python/failure.ts"
import type { Body, Expression, MacroUses, Signature } from "./ast.ts"
import { filterNames, testNames } from "./known.ts"

type Node = { readonly [key: string]: unknown }

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null

/**
 * Rejects filters and tests that do not exist. The reference finds those in conditions only when it evaluates them, but in
 * a loop or macro inside a condition it finds them at once.
 *
 * @throws when there is one
 * @internal
 */
export const checkFilters = (part: unknown, isConditional: boolean): void => {
  if (Array.isArray(part)) {
    for (const each of part) checkFilters(each, isConditional)
    return
  }
  if (!isNode(part)) return
  const name = String(part["name"])
  if (!isConditional) {
    if (part["type"] === "filter" && !filterNames.has(name)) refuse(`the filter ${name}`)
    if (part["type"] === "test" && !testNames.has(name)) refuse(`the test ${name}`)
  }
  const type = part["type"]
  const hasScope =
    type === "for" || type === "macro" || type === "callBlock" || type === "generation" || type === "with"
  const starts = type === "if" || type === "condition"
  for (const each of Object.values(part)) {
    checkFilters(each, starts || (isConditional && !hasScope && type !== "setBlock" && type !== "filterBlock"))
  }
}

const reads = (part: unknown, name: string): boolean => {
  if (Array.isArray(part)) return part.some((each) => reads(each, name))
  if (!isNode(part)) return false
  if (part["type"] === "name" && part["name"] === name) return true
  return Object.values(part).some((each) => reads(each, name))
}

/** @internal */
export const usesOf = (body: Body, signature: Signature): MacroUses => {
  const parts: ReadonlyArray<Body | ReadonlyArray<Expression>> = [body, signature.defaults]
  return {
    caller: parts.some((part) => reads(part, "caller")),
    kwargs: parts.some((part) => reads(part, "kwargs")),
    varargs: parts.some((part) => reads(part, "varargs"))
  }
}
