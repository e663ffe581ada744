/** What an entry of a chat does: it makes the conversation go on, or changes, saves or shows it. */
import type { Message } from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Io from "../terminal/io.ts"
import { clean } from "../text/clean.ts"
import * as conversation from "./conversation.ts"
import * as entry from "./entry.ts"

type Conversation = conversation.Conversation

/** Writes the assistant's next message, and returns it. @internal */
export type Respond<E, R> = (messages: ReadonlyArray<Message>) => Effect.Effect<string, E, R>

const exchange = <E, R>({ system, turns }: Conversation, text: string, respond: Respond<E, R>) => {
  const asked: Conversation = { system, turns: [...turns, { role: "user", content: text }] }
  return Effect.map(respond(conversation.messagesOf(asked)), (content): Conversation => ({
    system,
    turns: [...asked.turns, { role: "assistant", content }]
  }))
}

/** Shows text beside the conversation. */
const say = (text: string) => Effect.flatMap(Io.Io, ({ err }) => err(`${clean(text, { keepLines: true })}\n`))

const save = (current: Conversation, file: string) => {
  const count = conversation.messagesOf(current).length
  if (current.turns.length === 0) return say("There is nothing to save yet.")
  return conversation.save(current, file).pipe(
    Effect.matchEffect({
      onSuccess: () => say(`Added ${count} messages to ${file}`),
      onFailure: ({ message }) => say(message)
    })
  )
}

/** The conversation after an entry; nothing where it ends the chat. @internal */
export const apply = <E, R>(current: Conversation, typed: entry.Entry, respond: Respond<E, R>) => {
  const stays = <E, R>(shown: Effect.Effect<void, E, R>) => Effect.as(shown, Option.some(current))
  const becomes = (next: Conversation) => Effect.succeed(Option.some(next))
  switch (typed._tag) {
    case "End":
      return Effect.succeed(Option.none<Conversation>())
    case "Message":
      return Effect.map(exchange(current, typed.text, respond), Option.some)
    case "Help":
      return stays(say(entry.help))
    case "Mistake":
      return stays(say(typed.reason))
    case "Save":
      return stays(save(current, typed.file))
    case "Reset":
      return Effect.andThen(say("The conversation is forgotten."), becomes({ ...current, turns: [] }))
    case "System":
      return typed.text === undefined
        ? stays(say(current.system ?? "There is no system message."))
        : becomes({ ...current, system: typed.text })
  }
}
