import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CliError, UsageError } from "../cliError.ts"
import type { Global } from "../commands.ts"
import * as connect from "../connect.ts"
import * as generate from "../generate.ts"
import * as Io from "../io.ts"
import * as output from "../output.ts"
import { checkPath } from "./checkpoint.ts"

interface Common extends Global, connect.Options {
  readonly model: Option.Option<string>
  readonly checkpoint: Option.Option<string>
  readonly maxTokens: number
  readonly temperature: number
  readonly topP: number
  readonly topK: number
  readonly seed: Option.Option<number>
  readonly stop: ReadonlyArray<string>
  readonly stream: boolean
  readonly noStream: boolean
}

const generation = (options: Common): generate.Options => ({
  maxTokens: options.maxTokens,
  temperature: options.temperature,
  topP: options.topP,
  topK: options.topK,
  seed: Option.getOrUndefined(options.seed),
  stop: options.stop
})

/** A sampler, the tokenizer of its model, and whether text is shown as it comes. */
const open = (options: Common) =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    if (!(Number.isInteger(options.maxTokens) && options.maxTokens > 0)) {
      return yield* new UsageError({ reason: `--max-tokens is ${options.maxTokens}: give a whole number above 0` })
    }
    if (options.stream && options.noStream) {
      return yield* new UsageError({ reason: "--stream and --no-stream exclude each other" })
    }
    const path = Option.isNone(options.checkpoint) ? undefined : yield* checkPath(options.checkpoint.value)
    if (path !== undefined && path.kind !== "sampler_weights") {
      return yield* new CliError({
        title: `${options.checkpoint.pipe(Option.getOrThrow)} cannot be sampled from`,
        details: "Give weights that were saved for sampling: tinker://<run id>/sampler_weights/<name>"
      })
    }
    const { baseModel, isEmbedded, rest, service, tokenizerOf } = yield* connect.make(options)
    const model = path === undefined ? yield* baseModel(options.model) : (yield* rest.getWeightsInfo(path)).base_model
    const tokenizer = yield* tokenizerOf(model)
    const sampling = yield* service.createSamplingClient(
      path === undefined ? { base_model: model } : { model_path: Option.getOrThrow(options.checkpoint) }
    )
    // a hosted service charges for the prompt of each piece
    const live = options.stream || (isEmbedded && io.outIsTerminal && !options.noStream)
    return { model, tokenizer, sampling, live: live && options.format === "table" }
  })

/** What a model writes may be anything, and a terminal must not obey it. */
const writer = Effect.map(
  Io.Io,
  ({ out, outIsTerminal }) =>
    (text: string) =>
      out(outIsTerminal ? text.replace(/(?![\n\t])\p{Control}/gu, "") : text)
)

const readAll = Effect.gen(function* () {
  const io = yield* Io.Io
  const lines: Array<string> = []
  for (let line = yield* io.readLine; line !== undefined; line = yield* io.readLine) lines.push(line)
  return lines.join("\n")
})

const chatTokens = (tokenizer: Tokenizer.Service, messages: ReadonlyArray<Tokenizer.Message>) =>
  tokenizer.encodeChat(messages, { addGenerationPrompt: true })

/** @internal */
export const sample = (
  options: Common & { readonly prompt: Option.Option<string>; readonly num: number; readonly chat: boolean }
) =>
  Effect.gen(function* () {
    if (!(Number.isInteger(options.num) && options.num > 0)) {
      return yield* new UsageError({ reason: `--num-samples is ${options.num}: give a whole number above 0` })
    }
    const text = Option.isSome(options.prompt) ? options.prompt.value : yield* readAll
    if (text === "")
      return yield* new UsageError({ reason: "There is no prompt: give one, or write it to standard input" })
    const { live, model, sampling, tokenizer } = yield* open(options)
    const prompt = options.chat
      ? yield* chatTokens(tokenizer, [{ role: "user", content: text }])
      : tokenizer.encode(text)
    const write = yield* writer
    if (live && options.num === 1) {
      yield* generate.stream(sampling, tokenizer, prompt, generation(options), write)
      yield* write("\n")
      return
    }
    const { sequences } = yield* sampling.sample(ModelInput.fromTokens(prompt), {
      num_samples: options.num,
      sampling_params: generate.params(generation(options), options.maxTokens, Option.getOrUndefined(options.seed))
    })
    const cut = (whole: string) =>
      options.stop.reduce((rest, stop) => (rest.includes(stop) ? rest.slice(0, rest.indexOf(stop)) : rest), whole)
    const samples = sequences.map(({ stop_reason, tokens }) => ({
      text: cut(tokenizer.decode(tokens, { skipSpecialTokens: true })),
      stop_reason,
      tokens: Array.from(tokens)
    }))
    yield* options.format === "json"
      ? output.json({ model, checkpoint: Option.getOrNull(options.checkpoint), prompt: text, samples })
      : write(samples.map((each) => `${each.text}\n`).join("\n"))
  }).pipe(Effect.scoped)

/** @internal */
export const chat = (options: Common & { readonly system: Option.Option<string> }) =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    const { live, model, sampling, tokenizer } = yield* open(options)
    const messages: Array<{ readonly role: string; readonly content: string }> = Option.match(options.system, {
      onNone: () => [],
      onSome: (content) => [{ role: "system", content }]
    })
    if (io.errIsTerminal && options.format === "table") {
      yield* io.err(`Chatting with ${model}. An empty line, or Ctrl-D, ends it.\n`)
    }
    while (true) {
      if (io.inIsTerminal) yield* io.err("> ")
      const line = yield* io.readLine
      if (line === undefined || line.trim() === "") break
      messages.push({ role: "user", content: line })
      const prompt = yield* chatTokens(tokenizer, messages)
      const write = options.format === "table" ? yield* writer : () => Effect.void
      if (live) {
        const { text } = yield* generate.stream(sampling, tokenizer, prompt, generation(options), write)
        messages.push({ role: "assistant", content: text })
      } else {
        const { sequences } = yield* sampling.sample(ModelInput.fromTokens(prompt), {
          sampling_params: generate.params(generation(options), options.maxTokens, Option.getOrUndefined(options.seed))
        })
        const content = tokenizer.decode(sequences[0]?.tokens ?? [], { skipSpecialTokens: true })
        yield* write(content)
        messages.push({ role: "assistant", content })
      }
      yield* write("\n")
    }
    if (options.format === "json") {
      yield* output.json({ model, checkpoint: Option.getOrNull(options.checkpoint), messages })
    }
  }).pipe(Effect.scoped)
