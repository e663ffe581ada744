import type { Message } from "@effect-tinker/tokenizers/Tokenizer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Conversation } from "../../../src/internal/chat/conversation.ts"
import type { Entry } from "../../../src/internal/chat/entry.ts"
import { apply } from "../../../src/internal/chat/turn.ts"
import { makeTerminal } from "../../utils/terminal.ts"

/** The assistant repeats the last message in capitals. */
const respond = (messages: ReadonlyArray<Message>) => Effect.succeed(String(messages.at(-1)!.content).toUpperCase())

const start: Conversation = { system: undefined, turns: [] }

/** The conversation after some entries, and what the terminal showed. */
const after = (...entries: ReadonlyArray<Entry>) => {
  const { layer, shown } = makeTerminal()
  return Effect.gen(function* () {
    let current = start
    for (const entry of entries) current = Option.getOrThrow(yield* apply(current, entry, respond))
    return { ...current, shown }
  }).pipe(Effect.provide([layer, NodeContext.layer]))
}

const hello: Entry = { _tag: "Message", text: "hello" }
const turns = [
  { role: "user", content: "hello" },
  { role: "assistant", content: "HELLO" }
]

describe("a chat", () => {
  it.effect("goes on with what the assistant says, and starts again on request, with its system message", () =>
    Effect.gen(function* () {
      const brief: Entry = { _tag: "System", text: "be brief" }
      assert.deepStrictEqual(yield* after(hello), { system: undefined, turns, shown: [] } as never)
      assert.deepStrictEqual(yield* after(hello, brief), { system: "be brief", turns, shown: [] } as never)
      assert.deepStrictEqual(yield* after(brief, hello, { _tag: "Reset" }), {
        system: "be brief",
        turns: [],
        shown: ["The conversation is forgotten.\n"]
      })
      const heard: Array<number> = []
      const counting = (messages: ReadonlyArray<Message>) => Effect.sync(() => String(heard.push(messages.length)))
      const { layer } = makeTerminal()
      const both = Effect.flatMap(apply({ ...start, system: "x" }, hello, counting), (next) =>
        apply(Option.getOrThrow(next), hello, counting)
      )
      yield* Effect.provide(both, [layer, NodeContext.layer])
      assert.deepStrictEqual(heard, [2, 4])
    })
  )

  it.effect("shows help, mistakes and its system message without control characters, and ends on request", () =>
    Effect.gen(function* () {
      const { shown } = yield* after(
        { _tag: "Help" },
        { _tag: "Mistake", reason: "no \u001b[2J" },
        { _tag: "System", text: undefined },
        { _tag: "System", text: "be \u001b[31mred" },
        { _tag: "System", text: undefined }
      )
      const [help, ...rest] = shown
      for (const line of help!.split("\n")) assert.isAtMost(line.length, 80)
      assert.match(help!, /^\/help .*\n[^]*ends the chat.\n$/)
      assert.deepStrictEqual(rest, ["no  [2J\n", "There is no system message.\n", "be  [31mred\n"])
      const { layer } = makeTerminal()
      const ended = yield* Effect.provide(apply(start, { _tag: "End" }, respond), [layer, NodeContext.layer])
      assert.isTrue(Option.isNone(ended))
    })
  )

  it.scoped("adds the conversation to a file, and goes on where it cannot", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = `${yield* fs.makeTempDirectoryScoped()}/chats.jsonl`
      const save: Entry = { _tag: "Save", file }
      const { shown } = yield* after(save, hello, save, { _tag: "System", text: "x" }, save)
      assert.deepStrictEqual(shown, [
        "There is nothing to save yet.\n",
        `Added 2 messages to ${file}\n`,
        `Added 3 messages to ${file}\n`
      ])
      assert.deepStrictEqual(
        (yield* fs.readFileString(file))
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line)),
        [{ messages: turns }, { messages: [{ role: "system", content: "x" }, ...turns] }]
      )
      const failed = yield* after(hello, { _tag: "Save", file: "/nowhere/at/all" })
      assert.match(failed.shown[0]!, /^\/nowhere\/at\/all cannot be written/)
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
