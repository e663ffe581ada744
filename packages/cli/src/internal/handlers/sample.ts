/** Handler of `tinker sample`. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { UsageError } from "../errors/cliError.ts"
import * as session from "../sampling/session.ts"
import * as generation from "../sampling/generation.ts"
import * as Io from "../terminal/io.ts"
import * as output from "../terminal/output.ts"

interface Options extends session.Options {
  readonly prompt: Option.Option<string>
  readonly num: number
  readonly chat: boolean
}

/** All of standard input. */
const readInput = Effect.gen(function* () {
  const io = yield* Io.Io
  const lines: Array<string> = []
  for (let line = yield* io.readLine; line !== undefined; line = yield* io.readLine) lines.push(line)
  return lines.join("\n")
})

/** The prompt, from the argument or standard input. */
const promptText = Effect.fnUntraced(function* (options: Options) {
  if (!(Number.isInteger(options.num) && options.num > 0)) {
    return yield* new UsageError({ reason: `--num-samples is ${options.num}: give an integer above 0` })
  }
  const text = Option.isSome(options.prompt) ? options.prompt.value : yield* readInput
  if (text === "") {
    return yield* new UsageError({ reason: "There is no prompt: give one, or write it to standard input" })
  }
  return text
})

/** @internal */
export const sample = (options: Options) =>
  Effect.gen(function* () {
    const text = yield* promptText(options)
    const { isStreaming, model, sampling, tokenizer } = yield* session.open(options)
    const prompt = options.chat
      ? yield* tokenizer.encodeChat([{ role: "user", content: text }], { addGenerationPrompt: true })
      : tokenizer.encode(text)
    const chosen = session.generationOptions(options)
    if (isStreaming && options.num === 1) {
      yield* generation.stream(sampling, tokenizer, prompt, chosen, session.write)
      yield* session.write("\n")
      return
    }
    const { sequences } = yield* sampling.sample(ModelInput.fromTokens(prompt), {
      num_samples: options.num,
      sampling_params: generation.params(chosen)
    })
    const samples = sequences.map(({ stop_reason, tokens }) => ({
      text: generation.textOf(tokenizer, options.stop, tokens),
      stop_reason,
      tokens: Array.from(tokens)
    }))
    yield* options.format === "json"
      ? output.json({ model, checkpoint: Option.getOrNull(options.checkpoint), prompt: text, samples })
      : session.write(samples.map((each) => `${each.text}\n`).join("\n"))
  }).pipe(Effect.scoped)
