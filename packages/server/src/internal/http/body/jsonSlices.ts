/**
 * Parses large JSON in slices, so that other requests are served in between. The result is that of `JSON.parse`, which
 * parses every part of the text that is small: only values that are larger than a slice are walked through here.
 */

/** Nested values of a large body. No request of the contract has more than ten. */
const maxDepth = 64

const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const openArray = 0x5b
const backslash = 0x5c
const closeArray = 0x5d
const letterU = 0x75
const openObject = 0x7b
const closeObject = 0x7d

const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/** Digits and points, which most of a large body is. */
const isDigit = (byte: number): boolean => byte >= 0x2e && byte <= 0x39

/** A computation that pauses at every `yield`, and returns its result. @internal */
export type Slices<A> = Generator<void, A, void>

const unexpected = (at: number): never => {
  throw new SyntaxError(`unexpected character at byte ${at}`)
}

/** Where a large array or object collects its members. */
interface Members {
  readonly value: unknown
  readonly add: (key: string, value: unknown) => void
  /** Adds what a slice of the text between the brackets holds. */
  readonly addAll: (parsed: object) => void
}

const arrayMembers = (): Members => {
  const value: Array<unknown> = []
  return {
    value,
    add: (_, item) => void value.push(item),
    addAll: (parsed) => {
      for (const item of parsed as ReadonlyArray<unknown>) value.push(item)
    }
  }
}

const objectMembers = (): Members => {
  const value: Record<string, unknown> = {}
  const add = (key: string, item: unknown) => {
    // an assignment would set the prototype
    if (key === "__proto__") {
      Object.defineProperty(value, key, { value: item, enumerable: true, configurable: true, writable: true })
    } else value[key] = item
  }
  return {
    value,
    add,
    addAll: (parsed) => {
      for (const [key, item] of Object.entries(parsed)) add(key, item)
    }
  }
}

class SlicedParser {
  readonly #bytes: Uint8Array
  readonly #slice: number
  // a byte order mark is allowed at the start of a body only
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true })
  /** The ends of the large arrays and objects, by their starts. */
  readonly #large = new Map<number, number>()

  constructor(bytes: Uint8Array, slice: number) {
    this.#bytes = bytes
    this.#slice = slice
  }

  *parse(): Slices<unknown> {
    const bytes = this.#bytes
    const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
    yield* this.#index()
    const start = yield* this.#skipSpace(hasMark ? 3 : 0)
    const end = this.#large.get(start)
    if (end === undefined) return this.#native(start, bytes.length)
    const value = yield* this.#container(start, end)
    const rest = yield* this.#skipSpace(end)
    return rest === bytes.length ? value : unexpected(rest)
  }

  #native(from: number, to: number, before = "", after = ""): unknown {
    return JSON.parse(`${before}${this.#decoder.decode(this.#bytes.subarray(from, to))}${after}`)
  }

  *#skipSpace(from: number): Slices<number> {
    const bytes = this.#bytes
    let at = from
    while (isSpace(bytes[at])) {
      at++
      if ((at - from) % this.#slice === 0) yield
    }
    return at
  }

  /** The position behind a string. */
  #skipString(start: number): number {
    const bytes = this.#bytes
    let end = start
    for (;;) {
      end = bytes.indexOf(quote, end + 1)
      if (end < 0) throw new SyntaxError("a string does not end")
      let escapes = end - 1
      while (bytes[escapes] === backslash) escapes--
      if ((end - escapes) % 2 === 1) return end + 1
    }
  }

  /** Finds the large arrays and objects. */
  *#index(): Slices<void> {
    const bytes = this.#bytes
    const slice = this.#slice
    const starts: Array<number> = []
    let pause = slice
    for (let at = 0; at < bytes.length; at++) {
      if (isDigit(bytes[at]!)) continue
      switch (bytes[at]) {
        case quote:
          at = this.#skipString(at) - 1
          break
        case openArray:
        case openObject:
          if (starts.push(at) > maxDepth) throw new SyntaxError(`more than ${maxDepth} nested values`)
          break
        case closeArray:
        case closeObject: {
          const start = starts.pop() ?? unexpected(at)
          if (at - start >= slice) this.#large.set(start, at + 1)
        }
      }
      if (at < pause) continue
      pause = at + slice
      yield
    }
    if (starts.length > 0) throw new SyntaxError("the text ends too early")
  }

  /** The position of the comma or bracket behind a value that is smaller than a slice. */
  #skipSmall(start: number): number {
    const bytes = this.#bytes
    let depth = 0
    for (let at = start; ; at++) {
      if (isDigit(bytes[at]!)) continue
      switch (bytes[at]) {
        case quote:
          at = this.#skipString(at) - 1
          break
        case openArray:
        case openObject:
          depth++
          break
        case closeArray:
        case closeObject:
          if (depth === 0) return at > start ? at : unexpected(at)
          depth--
          break
        case comma:
          if (depth === 0) return at > start ? at : unexpected(at)
      }
    }
  }

  /** A string that is larger than a slice, in pieces that do not cut escapes or characters. */
  *#longString(start: number, end: number): Slices<string> {
    const bytes = this.#bytes
    const pieces: Array<string> = []
    let from = start + 1
    for (let at = from; at < end - 1;) {
      if (at - from >= this.#slice && (bytes[at]! & 0xc0) !== 0x80) {
        pieces.push(this.#native(from, at, '"', '"') as string)
        from = at
        yield
      }
      at += bytes[at] !== backslash ? 1 : bytes[at + 1] === letterU ? 6 : 2
    }
    pieces.push(this.#native(from, end - 1, '"', '"') as string)
    return pieces.join("")
  }

  /** The end of the value at this position, if it is large. */
  #largeEnd(at: number): number | undefined {
    if (this.#bytes[at] !== quote) return this.#large.get(at)
    const end = this.#skipString(at)
    return end - at >= this.#slice ? end : undefined
  }

  *#container(start: number, end: number): Slices<unknown> {
    const bytes = this.#bytes
    const isArray = bytes[start] === openArray
    const [before, after] = isArray ? ["[", "]"] : ["{", "}"]
    const last = end - 1
    if (bytes[last] !== (isArray ? closeArray : closeObject)) unexpected(last)
    const members = isArray ? arrayMembers() : objectMembers()
    // `count` members from `from` to `to` are not parsed yet
    let from = start + 1
    let to = from
    let count = 0
    const flush = () => {
      if (count > 0) members.addAll(this.#native(from, to, before, after) as object)
      count = 0
    }
    let pause = from + this.#slice
    for (let at = from; ; at++) {
      if (isSpace(bytes[at])) at = yield* this.#skipSpace(at)
      if (at === last) return to === start + 1 ? members.value : unexpected(at)
      const keyStart = at
      const keyEnd = isArray ? at : this.#key(at)
      if (!isArray) at = yield* this.#valueStart(keyEnd)
      const valueEnd = this.#largeEnd(at)
      if (valueEnd === undefined) {
        at = this.#skipSmall(at)
        count++
        to = at
      } else {
        flush()
        const value = bytes[at] === quote ? this.#longString(at, valueEnd) : this.#container(at, valueEnd)
        members.add(isArray ? "" : (this.#native(keyStart, keyEnd) as string), yield* value)
        at = to = yield* this.#skipSpace(valueEnd)
      }
      if (at !== last && bytes[at] !== comma) unexpected(at)
      if (at === last || at - from >= this.#slice) flush()
      if (at === last) return members.value
      if (count === 0) from = at + 1
      if (at < pause) continue
      pause = at + this.#slice
      yield
    }
  }

  /** The position behind the key of a member. */
  #key(at: number): number {
    if (this.#bytes[at] !== quote) unexpected(at)
    return this.#skipString(at)
  }

  *#valueStart(keyEnd: number): Slices<number> {
    const at = yield* this.#skipSpace(keyEnd)
    if (this.#bytes[at] !== colon) unexpected(at)
    return yield* this.#skipSpace(at + 1)
  }
}

/** Parses UTF-8 text, and pauses after every `slice` bytes. Throws a `SyntaxError`. @internal */
export const parse = (bytes: Uint8Array, slice: number): Slices<unknown> => new SlicedParser(bytes, slice).parse()
