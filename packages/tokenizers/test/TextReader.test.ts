import { assert, describe, it } from "@effect/vitest"
import * as TextReader from "@effect-tinker/tokenizers/TextReader"
import * as FastCheck from "fast-check"

/** A vocabulary of bytes. */
const decode = (tokens: ReadonlyArray<number>) => new TextDecoder().decode(Uint8Array.from(tokens))
const bytes = (text: string) => Array.from(new TextEncoder().encode(text))

const readAll = (tokens: ReadonlyArray<number>, cuts: ReadonlyArray<number>, stop?: ReadonlyArray<string>) => {
  const reader = TextReader.make(decode, { stop })
  const pieces: Array<string> = []
  let at = 0
  for (const cut of [...cuts, tokens.length]) {
    pieces.push(reader.push(tokens.slice(at, at + cut)))
    at += cut
  }
  pieces.push(reader.end())
  return pieces
}

/** The text before the first stop sequence, character by character. */
const beforeStop = (text: string, stop: ReadonlyArray<string>) => {
  for (let end = 1; end <= text.length; end++) {
    const found = stop.filter((sequence) => text.slice(0, end).endsWith(sequence))
    if (found.length > 0) return text.slice(0, end - Math.max(...found.map(({ length }) => length)))
  }
  return text
}

const cuts = FastCheck.array(FastCheck.integer({ min: 1, max: 5 }), { maxLength: 20 })

describe("TextReader", () => {
  it("returns the text of all tokens, however they arrive", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.string({ unit: "binary", maxLength: 40 }), cuts, (text, cuts) => {
        const tokens = bytes(text)
        assert.strictEqual(readAll(tokens, cuts).join(""), decode(tokens))
      })
    )
  })

  it("returns the replacement characters of bytes that are no text", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.integer({ min: 1, max: 255 }), { maxLength: 60 }),
        cuts,
        (tokens, cuts) => {
          // a decoder of a whole text drops a byte order mark
          FastCheck.pre(!decode([...tokens]).includes("\ufeff") && tokens[0] !== 0xef)
          assert.strictEqual(readAll(tokens, cuts).join(""), decode(tokens))
        }
      )
    )
  })

  it("never shows half of a character", () => {
    const pieces = readAll(
      bytes("a€😀b"),
      Array.from({ length: 9 }, () => 1)
    )
    assert.deepStrictEqual(
      pieces.filter((piece) => piece !== ""),
      ["a", "€", "😀", "b"]
    )
  })

  it("ends before the first stop sequence, and shows no part of one", () => {
    const text = FastCheck.string({ unit: FastCheck.constantFrom("a", "b", "é"), maxLength: 30 })
    const stops = FastCheck.array(
      FastCheck.string({ unit: FastCheck.constantFrom("a", "b", "é"), minLength: 1, maxLength: 4 }),
      {
        maxLength: 3
      }
    )
    FastCheck.assert(
      FastCheck.property(text, stops, cuts, (text, stop, cuts) => {
        const expected = beforeStop(text, stop)
        const pieces = readAll(bytes(text), cuts, stop)
        assert.strictEqual(pieces.join(""), expected)
      })
    )
  })

  it("holds back what may begin a stop sequence until it cannot any more", () => {
    const reader = TextReader.make(decode, { stop: ["\n\nUser"] })
    assert.strictEqual(reader.push(bytes("Hi\n\nUs")), "Hi")
    assert.strictEqual(reader.push(bytes("ual")), "\n\nUsual")
    assert.strictEqual(reader.push(bytes("!\n\nUser: no")), "!")
    assert.isTrue(reader.isStopped())
    assert.strictEqual(reader.push(bytes("more")) + reader.end(), "")
  })

  it("shows what is no text at last", () => {
    const reader = TextReader.make(decode)
    const shown = Array.from({ length: 200 }, () => reader.push([0xe2])).join("")
    assert.strictEqual(shown + reader.end(), replacement.repeat(200))
  })
})

const replacement = "\ufffd"
