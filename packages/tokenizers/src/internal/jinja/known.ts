/** The names of the filters and tests that are supported. */

const filters = [
  "abs",
  "attr",
  "batch",
  "capitalize",
  "center",
  "count",
  "d",
  "default",
  "dictsort",
  "first",
  "float",
  "format",
  "groupby",
  "indent",
  "int",
  "items",
  "join",
  "last",
  "length",
  "list",
  "lower",
  "map",
  "max",
  "min",
  "reject",
  "rejectattr",
  "replace",
  "reverse",
  "round",
  "safe",
  "select",
  "selectattr",
  "slice",
  "sort",
  "string",
  "sum",
  "title",
  "tojson",
  "trim",
  "unique",
  "upper",
  "wordcount"
] as const

const tests = [
  "!=",
  "<",
  "<=",
  "==",
  ">",
  ">=",
  "boolean",
  "callable",
  "defined",
  "divisibleby",
  "eq",
  "equalto",
  "even",
  "false",
  "float",
  "ge",
  "greaterthan",
  "gt",
  "in",
  "integer",
  "iterable",
  "le",
  "lessthan",
  "lower",
  "lt",
  "mapping",
  "ne",
  "none",
  "number",
  "odd",
  "sameas",
  "sequence",
  "string",
  "true",
  "undefined",
  "upper"
] as const

/** @internal */
export type FilterName = (typeof filters)[number]

/** @internal */
export type TestName = (typeof tests)[number]

/** @internal */
export const filterNames: ReadonlySet<string> = new Set(filters)

/** @internal */
export const testNames: ReadonlySet<string> = new Set(tests)
