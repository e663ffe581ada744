/** Names and their values while a template is rendered. */
import type { Value } from "../python/values.ts"

/** The names of a block, inside those of the blocks around it. @internal */
export class Scope {
  readonly #values = new Map<string, Value>()
  readonly #outer: Scope | undefined
  constructor(outer?: Scope) {
    this.#outer = outer
  }
  get(name: string): Value | undefined {
    return this.#values.get(name) ?? (this.#values.has(name) ? undefined : this.#outer?.get(name))
  }
  set(name: string, value: Value): void {
    this.#values.set(name, value)
  }
}
