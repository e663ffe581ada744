/** What a person types in a chat: messages of one line or several, and commands, which begin with `/`. */
import * as Effect from "effect/Effect"

/** @internal */
export type Entry =
  | { readonly _tag: "Message"; readonly text: string }
  | { readonly _tag: "Help" }
  | { readonly _tag: "Reset" }
  /** without a text, it asks for the message that is set */
  | { readonly _tag: "System"; readonly text: string | undefined }
  | { readonly _tag: "Save"; readonly file: string }
  | { readonly _tag: "Mistake"; readonly reason: string }
  | { readonly _tag: "End" }

/** @internal */
export const help = `/help           shows this
/reset          forgets the conversation, but not the system message
/system [TEXT]  sets the system message, or shows it
/save FILE      adds the conversation to a file that tinker train reads
//TEXT          is a message that begins with /

End a line with \\ to go on in the next, or put """ on a line of its own before
and after a message. An empty line, or Ctrl-D, ends the chat.`

/** The entry of a line that begins with one `/`. */
const commandOf = (line: string): Entry => {
  const [, name = "", rest = ""] = /^\/(\S*)\s*(.*?)\s*$/s.exec(line) ?? []
  switch (name) {
    case "help":
      return { _tag: "Help" }
    case "reset":
      return { _tag: "Reset" }
    case "system":
      return { _tag: "System", text: rest === "" ? undefined : rest }
    case "save":
      return rest === "" ? { _tag: "Mistake", reason: "Name a file: /save FILE" } : { _tag: "Save", file: rest }
    default:
      return { _tag: "Mistake", reason: `There is no command /${name}. /help lists them` }
  }
}

type ReadLine = (prompt: string) => Effect.Effect<string | undefined>

const more = "… "

/** The lines up to one that is `"""`, or to the end of the input. */
const readBlock = Effect.fnUntraced(function* (readLine: ReadLine) {
  const lines: Array<string> = []
  for (let line = yield* readLine(more); line !== undefined && line.trim() !== '"""'; line = yield* readLine(more)) {
    lines.push(line)
  }
  return lines.join("\n")
})

/** A line with those that continue it. */
const readContinued = Effect.fnUntraced(function* (first: string, readLine: ReadLine) {
  let text = first
  while (text.endsWith("\\")) {
    const next = yield* readLine(more)
    text = `${text.slice(0, -1)}\n${next ?? ""}`
    if (next === undefined) break
  }
  return text
})

/** Reads what a person types next. @internal */
export const read = Effect.fnUntraced(function* (readLine: ReadLine): Effect.fn.Return<Entry> {
  const line = yield* readLine("> ")
  if (line === undefined || line.trim() === "") return { _tag: "End" }
  if (line.trim() === '"""') return { _tag: "Message", text: yield* readBlock(readLine) }
  const text = yield* readContinued(line, readLine)
  if (text.startsWith("//")) return { _tag: "Message", text: text.slice(1) }
  return text.startsWith("/") ? commandOf(text) : { _tag: "Message", text }
})
