/** The conversation of a chat: its messages, the system message before them, and files of conversations. */
import type { Message } from "@effect-tinker/tokenizers/Tokenizer"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import { CliError } from "../errors/cliError.ts"

/** @internal */
export interface Conversation {
  readonly system: string | undefined
  /** those of the user and of the assistant, in turns */
  readonly turns: ReadonlyArray<Message>
}

/** @internal */
export const messagesOf = ({ system, turns }: Conversation): ReadonlyArray<Message> =>
  system === undefined ? turns : [{ role: "system", content: system }, ...turns]

/** Adds the conversation to a file, as one line of JSON. @internal */
export const save = (conversation: Conversation, file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    fs.writeFileString(file, `${JSON.stringify({ messages: messagesOf(conversation) })}\n`, { flag: "a" })
  ).pipe(Effect.mapError(({ message }) => new CliError({ title: `${file} cannot be written`, details: message })))
