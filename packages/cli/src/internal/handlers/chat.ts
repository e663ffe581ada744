/** Handler of `tinker chat`. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type { Message } from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as conversation from "../chat/conversation.ts"
import * as entry from "../chat/entry.ts"
import * as turn from "../chat/turn.ts"
import * as session from "../sampling/session.ts"
import * as generation from "../sampling/generation.ts"
import * as Io from "../terminal/io.ts"
import * as output from "../terminal/output.ts"
import { clean } from "../text/clean.ts"

interface Options extends session.Options {
  readonly system: Option.Option<string>
}

/** The assistant's next message, written as it is generated or once it is complete. */
const respond = Effect.fnUntraced(function* (
  options: Options,
  { isStreaming, sampling, tokenizer }: session.Session,
  messages: ReadonlyArray<Message>
) {
  const prompt = yield* tokenizer.encodeChat(messages, { addGenerationPrompt: true })
  const chosen = session.generationOptions(options)
  if (isStreaming) {
    const streamed = yield* generation.stream(sampling, tokenizer, prompt, chosen, session.write)
    yield* session.write("\n")
    return streamed
  }
  const { sequences } = yield* sampling.sample(ModelInput.fromTokens(prompt), {
    sampling_params: generation.params(chosen)
  })
  const text = generation.textOf(tokenizer, options.stop, sequences[0]?.tokens ?? [])
  if (options.format === "table") yield* session.write(`${text}\n`)
  return text
})

/** Lines of a file or a pipe are messages: commands are for persons. */
const readMessage = (readLine: (prompt: string) => Effect.Effect<string | undefined>) =>
  Effect.map(readLine(""), (text): entry.Entry =>
    text === undefined || text.trim() === "" ? { _tag: "End" } : { _tag: "Message", text }
  )

const introduction = ({ model }: session.Session, { checkpoint }: Options): string =>
  `Chatting with ${Option.match(checkpoint, { onNone: () => model, onSome: (path) => `${path} on ${model}` })}.\n` +
  "An empty line, or Ctrl-D, ends it; /help lists commands.\n"

/** @internal */
export const chat = (options: Options) =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    const opened = yield* session.open(options)
    if (io.errIsTerminal && options.format === "table")
      yield* io.err(clean(introduction(opened, options), { keepLines: true }))
    const readLine = yield* io.openPrompt
    const read = io.inIsTerminal ? entry.read(readLine) : readMessage(readLine)
    let current: conversation.Conversation = { system: Option.getOrUndefined(options.system), turns: [] }
    for (;;) {
      const next = yield* turn.apply(current, yield* read, (messages) => respond(options, opened, messages))
      if (Option.isNone(next)) break
      current = next.value
    }
    if (options.format === "json") {
      const messages = conversation.messagesOf(current)
      yield* output.json({ model: opened.model, checkpoint: Option.getOrNull(options.checkpoint), messages })
    }
  }).pipe(Effect.scoped)
