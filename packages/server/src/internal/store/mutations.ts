/** Changes of rows, which are collected until they are committed together. */
import { type AnyRow, keyOf, type Table } from "./tables.ts"

/** One change of one row. @internal */
export type Mutation =
  | { readonly _tag: "Put"; readonly table: Table<AnyRow>; readonly row: AnyRow }
  /** Changes columns of a row, if it exists. `row` has the key and these columns. */
  | { readonly _tag: "Patch"; readonly table: Table<AnyRow>; readonly row: AnyRow }
  /** `row` has the key */
  | { readonly _tag: "Remove"; readonly table: Table<AnyRow>; readonly row: AnyRow }

const sum = ({ adds }: Table<AnyRow>, before: AnyRow, row: AnyRow): AnyRow =>
  adds === undefined ? row : { ...row, [adds]: Number(before[adds]) + Number(row[adds]) }

/** The one change that has the effect of two, one after the other. */
const combine = (before: Mutation, next: Mutation): Mutation => {
  switch (next._tag) {
    case "Put":
      return before._tag === "Put" ? { ...next, row: sum(next.table, before.row, next.row) } : next
    case "Patch":
      return before._tag === "Remove" ? before : { ...before, row: { ...before.row, ...next.row } }
    case "Remove":
      return next
  }
}

/** Changes of different rows. @internal */
export class Batch {
  private readonly byRow = new Map<string, Mutation>()

  get isEmpty(): boolean {
    return this.byRow.size === 0
  }

  add(mutation: Mutation): void {
    const id = `${mutation.table.name} ${keyOf(mutation.table, mutation.row)}`
    const before = this.byRow.get(id)
    this.byRow.set(id, before === undefined ? mutation : combine(before, mutation))
  }

  /** The changes in the order in which their rows were first changed. */
  get mutations(): ReadonlyArray<Mutation> {
    return Array.from(this.byRow.values())
  }
}
