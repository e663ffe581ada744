/** The variable `loop`. */
import { fail } from "../python/failure.ts"
import { equals } from "../python/operators.ts"
import { type Arguments, Fields, iterate, tryLength, Undefined, type Value } from "../python/values.ts"

/** The state of a loop, which reads one item ahead only when it is asked for. @internal */
export class Loop {
  readonly #source: Value
  readonly #depth: number
  readonly #recurse: ((args: Arguments) => Value) | undefined
  #iterator: Iterator<Value>
  #ahead: IteratorResult<Value> | undefined
  #length: number | undefined
  #index = -1
  #before: Value | undefined
  #current: Value | undefined
  #changed: ReadonlyArray<Value> | undefined

  constructor(source: Value, depth: number, recurse: ((args: Arguments) => Value) | undefined) {
    this.#source = source
    this.#depth = depth
    this.#recurse = recurse
    this.#iterator = iterate(source)[Symbol.iterator]()
  }

  /** the next item, or undefined at the end */
  next(): Value | undefined {
    const result = this.#ahead ?? this.#iterator.next()
    this.#ahead = undefined
    if (result.done === true) return undefined
    this.#index++
    this.#before = this.#current
    this.#current = result.value
    return result.value
  }

  #peek(): IteratorResult<Value> {
    return (this.#ahead ??= this.#iterator.next())
  }

  #count(): number {
    if (this.#length !== undefined) return this.#length
    const known = tryLength(this.#source)
    if (known !== undefined) return (this.#length = known)
    const rest: Array<Value> = []
    for (let each = this.#peek(); each.done !== true; each = this.#iterator.next()) rest.push(each.value)
    this.#ahead = undefined
    this.#iterator = rest[Symbol.iterator]()
    return (this.#length = this.#index + 1 + rest.length)
  }

  readonly #fields: { readonly [name: string]: () => Value } = {
    index: () => BigInt(this.#index + 1),
    index0: () => BigInt(this.#index),
    revindex: () => BigInt(this.#count() - this.#index),
    revindex0: () => BigInt(this.#count() - this.#index - 1),
    first: () => this.#index === 0,
    last: () => this.#peek().done === true,
    length: () => BigInt(this.#count()),
    depth: () => BigInt(this.#depth + 1),
    depth0: () => BigInt(this.#depth),
    previtem: () => (this.#index === 0 ? new Undefined("uses the item before the first") : this.#before!),
    nextitem: () => {
      const next = this.#peek()
      return next.done === true ? new Undefined("uses the item after the last") : next.value
    },
    cycle: () =>
      this.#method("cycle", (values) => {
        if (values.length === 0) return fail("cycles through no values")
        return values[this.#index % values.length]!
      }),
    changed: () =>
      this.#method("changed", (values) => {
        const before = this.#changed
        this.#changed = values
        return before === undefined || !equals(before as Value, values as Value)
      })
  }

  #method(name: string, f: (values: ReadonlyArray<Value>) => Value): Fields {
    const call = ({ named, positional }: Arguments) =>
      named.size > 0 ? fail(`calls ${name} with named arguments`) : f(positional)
    return new Fields(name, () => undefined, call)
  }

  readonly fields = new Fields(
    "loop",
    (name) => (Object.hasOwn(this.#fields, name) ? this.#fields[name]!() : undefined),
    (args) => this.#recurse?.(args) ?? fail("calls loop in a loop that is not recursive")
  )
}
