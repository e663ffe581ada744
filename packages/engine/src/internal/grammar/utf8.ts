/** Which tokens keep a text UTF-8: the grammar engine takes bytes in strings that are no characters. */

/**
 * What the next byte may be: `left` bytes of a character are missing, of which the next one is from `low` to `high`. No
 * bytes are missing at the beginning, and after a whole character.
 */
interface State {
  readonly left: number
  readonly low: number
  readonly high: number
}

const start: State = { left: 0, low: 0, high: 0 }

/** After the first byte of a character. Overlong forms, surrogates and what is above U+10FFFF are no characters. */
const afterFirst = (byte: number): State | undefined => {
  if (byte < 0x80) return start
  if (byte >= 0xc2 && byte <= 0xdf) return { left: 1, low: 0x80, high: 0xbf }
  if (byte >= 0xe0 && byte <= 0xef) {
    return { left: 2, low: byte === 0xe0 ? 0xa0 : 0x80, high: byte === 0xed ? 0x9f : 0xbf }
  }
  if (byte >= 0xf0 && byte <= 0xf4) {
    return { left: 3, low: byte === 0xf0 ? 0x90 : 0x80, high: byte === 0xf4 ? 0x8f : 0xbf }
  }
  return undefined
}

const after = (state: State, byte: number): State | undefined => {
  if (state.left === 0) return afterFirst(byte)
  if (byte < state.low || byte > state.high) return undefined
  return state.left === 1 ? start : { left: state.left - 1, low: 0x80, high: 0xbf }
}

const afterAll = (state: State, bytes: Uint8Array): State | undefined => {
  let current: State | undefined = state
  for (const byte of bytes) {
    if (current === undefined) return undefined
    current = after(current, byte)
  }
  return current
}

const utf8 = new TextEncoder()

/** The bytes that byte-level vocabularies write as other characters, by those. */
const byteOfChar: ReadonlyMap<string, number> = (() => {
  const isShown = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  let next = 256
  return new Map(
    Array.from({ length: 256 }, (_, byte) => [String.fromCodePoint(isShown(byte) ? byte : next++), byte] as const)
  )
})()

/** How the vocabulary spells tokens. @internal */
export type Spelling = "byte_level" | "byte_fallback" | "raw"

/** The bytes of a token as the vocabulary spells it. */
const bytesOf = (token: string, spelling: Spelling): Uint8Array => {
  if (spelling === "byte_level") {
    return Uint8Array.from(Array.from(token).flatMap((char) => byteOfChar.get(char) ?? Array.from(utf8.encode(char))))
  }
  const [, hex] = (spelling === "byte_fallback" ? /^<0x([0-9A-Fa-f]{2})>$/.exec(token) : null) ?? []
  return hex === undefined ? utf8.encode(token) : Uint8Array.of(Number.parseInt(hex, 16))
}

/** The tokens of a vocabulary by their bytes; shared by all sequences of a model. @internal */
export class Tokens {
  private readonly bytes: ReadonlyArray<Uint8Array>
  private readonly masks = new Map<string, Uint32Array>()

  constructor(vocabulary: ReadonlyArray<string>, spelling: Spelling) {
    this.bytes = vocabulary.map((token) => bytesOf(token, spelling))
  }

  /** A bit for each token that may follow. There are less than ten states. */
  maskOf(state: State): Uint32Array {
    const key = `${state.left} ${state.low} ${state.high}`
    const known = this.masks.get(key)
    if (known !== undefined) return known
    const mask = new Uint32Array(Math.ceil(this.bytes.length / 32))
    this.bytes.forEach((bytes, token) => {
      if (afterAll(state, bytes) !== undefined) mask[token >> 5] = mask[token >> 5]! | (1 << (token & 31))
    })
    this.masks.set(key, mask)
    return mask
  }

  after(state: State, token: number): State {
    return afterAll(state, this.bytes[token] ?? new Uint8Array(0)) ?? start
  }
}

/** The text of one sequence. @internal */
export class Text {
  private readonly tokens: Tokens
  private state = start

  constructor(tokens: Tokens) {
    this.tokens = tokens
  }

  /** A bit for each token that may follow. */
  get mask(): Uint32Array {
    return this.tokens.maskOf(this.state)
  }

  accept(token: number): void {
    this.state = this.tokens.after(this.state, token)
  }
}
