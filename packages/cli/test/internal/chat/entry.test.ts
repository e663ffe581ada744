import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as entry from "../../../src/internal/chat/entry.ts"

/** The entries of lines that a person types, to the end of the chat, and the prompts before them. */
const entriesOf = (...lines: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const rest = [...lines]
    const prompts: Array<string> = []
    const readLine = (prompt: string) =>
      Effect.sync(() => {
        prompts.push(prompt)
        return rest.shift()
      })
    const entries: Array<entry.Entry> = []
    do entries.push(yield* entry.read(readLine))
    while (entries.at(-1)!._tag !== "End")
    return { entries: entries.slice(0, -1), prompts }
  })

describe("an entry of a chat", () => {
  it.effect("is a message, of several lines where a line ends with a backslash or quotes are around it", () =>
    Effect.gen(function* () {
      const { entries, prompts } = yield* entriesOf(
        "hello",
        "one\\",
        "two\\",
        "three",
        '"""',
        "a",
        "",
        "/b\\",
        ' """ ',
        "  ",
        "x"
      )
      assert.deepStrictEqual(entries, [
        { _tag: "Message", text: "hello" },
        { _tag: "Message", text: "one\ntwo\nthree" },
        { _tag: "Message", text: "a\n\n/b\\" }
      ])
      assert.deepStrictEqual(prompts, ["> ", "> ", "… ", "… ", "> ", "… ", "… ", "… ", "… ", "> "])
      // the input ends within a message
      assert.deepStrictEqual((yield* entriesOf("one\\")).entries, [{ _tag: "Message", text: "one\n" }])
      assert.deepStrictEqual((yield* entriesOf('"""', "a")).entries, [{ _tag: "Message", text: "a" }])
    })
  )

  it.effect("is a command where it begins with a slash, and a mistake where there is none of that name", () =>
    Effect.gen(function* () {
      const { entries } = yield* entriesOf(
        "/help",
        "/reset ",
        "/system",
        "/system  be brief, please ",
        "/system be\\",
        "kind",
        "/save a b.jsonl",
        "/save",
        "/quit",
        "/",
        "//etc/hosts"
      )
      assert.deepStrictEqual(entries, [
        { _tag: "Help" },
        { _tag: "Reset" },
        { _tag: "System", text: undefined },
        { _tag: "System", text: "be brief, please" },
        { _tag: "System", text: "be\nkind" },
        { _tag: "Save", file: "a b.jsonl" },
        { _tag: "Mistake", reason: "Name a file: /save FILE" },
        { _tag: "Mistake", reason: "There is no command /quit. /help lists them" },
        { _tag: "Mistake", reason: "There is no command /. /help lists them" },
        { _tag: "Message", text: "/etc/hosts" }
      ])
    })
  )
})
