/** Handler of `tinker chat`. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as session from "../sampling/session.ts"
import * as generation from "../sampling/generation.ts"
import * as Io from "../terminal/io.ts"
import * as output from "../terminal/output.ts"

interface Options extends session.Options {
  readonly system: Option.Option<string>
}

/** The assistant's next message, written as it is generated or once it is complete. */
const respond = Effect.fnUntraced(function* (
  options: Options,
  { isStreaming, sampling, tokenizer }: session.Session,
  messages: ReadonlyArray<Tokenizer.Message>
) {
  const prompt = yield* tokenizer.encodeChat(messages, { addGenerationPrompt: true })
  const chosen = session.generationOptions(options)
  if (isStreaming) return yield* generation.stream(sampling, tokenizer, prompt, chosen, session.write)
  const { sequences } = yield* sampling.sample(ModelInput.fromTokens(prompt), {
    sampling_params: generation.params(chosen)
  })
  const text = generation.textOf(tokenizer, options.stop, sequences[0]?.tokens ?? [])
  if (options.format === "table") yield* session.write(text)
  return text
})

/** @internal */
export const chat = (options: Options) =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    const opened = yield* session.open(options)
    const messages: Array<Tokenizer.Message> = Option.match(options.system, {
      onNone: () => [],
      onSome: (content) => [{ role: "system", content }]
    })
    if (io.errIsTerminal && options.format === "table") {
      yield* io.err(`Chatting with ${opened.model}. An empty line, or Ctrl-D, ends it.\n`)
    }
    while (true) {
      if (io.inIsTerminal) yield* io.err("> ")
      const line = yield* io.readLine
      if (line === undefined || line.trim() === "") break
      messages.push({ role: "user", content: line })
      messages.push({ role: "assistant", content: yield* respond(options, opened, messages) })
      if (options.format === "table") yield* session.write("\n")
    }
    if (options.format === "json") {
      yield* output.json({ model: opened.model, checkpoint: Option.getOrNull(options.checkpoint), messages })
    }
  }).pipe(Effect.scoped)
