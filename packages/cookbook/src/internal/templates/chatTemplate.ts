/**
 * A renderer over a tokenizer's own chat template. What the assistant says is found by differences: the conversation up to a
 * message of the assistant must begin with the prompt for it. Tokens are cut there, as they are when the model generates.
 */
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import { append } from "../formats/append.ts"
import { attempt } from "../formats/attempt.ts"
import { checkTrainable, trainedTurns } from "../formats/weights.ts"
import type { Conversation, PromptOptions, RendererError, TrainOn } from "../formats/model.ts"
import type { WeightedTokens } from "../formats/assemble.ts"
import { refuse } from "../formats/turns.ts"
import { plain } from "../formats/vocabulary.ts"
import { inputOf, type TemplateInput } from "./messages.ts"
import { type Answer, isKept, type Region, regionOf } from "./regions.ts"
import { type Chat, encode, specialTokens, type Vocabulary } from "./text.ts"

/** @internal */
export interface ChatTemplate {
  readonly name: string
  readonly vocabulary: Vocabulary
  /** the text of the template, to see what it reads */
  readonly template: string
  readonly options: Pick<Tokenizer.ChatOptions, "template" | "variables">
}

type Rendering<A> = Effect.Effect<A, RendererError>

/** Reads a conversation. */
const read = ({ name, template }: ChatTemplate, conversation: Conversation): Rendering<TemplateInput> =>
  attempt(() => inputOf(name, template, conversation))

/** The first messages as text. */
const render = (
  self: ChatTemplate,
  input: TemplateInput,
  count: number,
  addGenerationPrompt: boolean
): Rendering<Chat> => {
  const { name, options, vocabulary } = self
  const { messages, tools } = input
  return vocabulary.tokenizer
    .renderChat(messages.slice(0, count), { ...options, tools, addGenerationPrompt })
    .pipe(Effect.mapError((cause) => refuse(name, "Template", `could not render: ${cause.message}`, undefined, cause)))
}

/** The messages of the assistant among the first ones, each with its prompt. */
const answersOf = (self: ChatTemplate, input: TemplateInput, count: number): Rendering<ReadonlyArray<Answer>> =>
  Effect.forEach(
    [...input.turns.keys()].filter((i) => i < count && input.turns[i]!.role === "assistant"),
    (message) =>
      Effect.all({
        message: Effect.succeed(message),
        prompt: render(self, input, message, true),
        through: render(self, input, message + 1, false)
      })
  )

/** The regions of the answers that a text has as they were generated. */
const regionsIn = (self: ChatTemplate, whole: Chat, answers: ReadonlyArray<Answer>): ReadonlyArray<Region> =>
  answers.flatMap((answer) => {
    const region = regionOf(self.vocabulary, answer)
    return region !== undefined && isKept(whole, answer, region) ? [region] : []
  })

/** The tokens up to an offset, cut where a prompt or an answer ends, and the weights by message. */
const encodeRegions = (
  self: ChatTemplate,
  whole: Chat,
  regions: ReadonlyArray<Region>,
  end: number,
  weightOf: (message: number | undefined) => number
): Rendering<WeightedTokens> => attempt(() => encodeAll(self, whole, regions, end, weightOf))

const encodeAll = (
  self: ChatTemplate,
  whole: Chat,
  regions: ReadonlyArray<Region>,
  end: number,
  weightOf: (message: number | undefined) => number
): WeightedTokens => {
  const tokens: Array<number> = []
  const weights: Array<number> = []
  const add = (from: number, to: number, weight: number) => {
    const encoded = encode(self.vocabulary, whole, from, to)
    append(tokens, encoded)
    for (let i = 0; i < encoded.length; i++) weights.push(weight)
  }
  let at = 0
  for (const region of regions) {
    add(at, region.start, weightOf(undefined))
    add(region.start, region.end, weightOf(region.message))
    at = region.end
  }
  add(at, end, weightOf(undefined))
  return { tokens, weights: Float32Array.from(weights) }
}

/** @internal */
export const prompt = (
  self: ChatTemplate,
  conversation: Conversation,
  { prefill = "", role = "assistant" }: PromptOptions
): Rendering<ReadonlyArray<number>> =>
  Effect.gen(function* () {
    if (role !== "assistant") {
      return yield* refuse(
        self.name,
        "UnsupportedMode",
        `has no prompt for ${role}: templates have one for the assistant`
      )
    }
    const input = yield* read(self, conversation)
    const whole = yield* render(self, input, input.messages.length, true)
    const regions = regionsIn(self, whole, yield* answersOf(self, input, input.messages.length))
    const { tokens } = yield* encodeRegions(self, whole, regions, whole.text.length, () => 0)
    return [...tokens, ...(yield* attempt(() => plain(self.vocabulary.tokenizer, prefill)))]
  })

const inexact = (self: ChatTemplate, message: number): RendererError =>
  refuse(
    self.name,
    "Template",
    "cannot tell what the model would write: the template does not begin this message with the prompt for it",
    `messages.${message}`
  )

/** The conversation up to an answer, of which the answer is trained. */
const exampleOfAnswer = (
  self: ChatTemplate,
  input: TemplateInput,
  answers: ReadonlyArray<Answer>,
  answer: Answer
): Rendering<WeightedTokens> =>
  Effect.suspend(() => {
    const region = regionOf(self.vocabulary, answer)
    if (region === undefined) return Effect.fail(inexact(self, answer.message))
    const earlier = answers.filter(({ message }) => message < answer.message)
    const regions = [...regionsIn(self, answer.through, earlier), region]
    const weight = input.turns[answer.message]!.weight
    const weightOf = (message: number | undefined) => (message === answer.message ? weight : 0)
    return encodeRegions(self, answer.through, regions, region.end, weightOf)
  })

const checkMode = (self: ChatTemplate, trainOn: TrainOn): Rendering<void> =>
  trainOn === "all_messages" || trainOn === "all_user_and_system_messages"
    ? refuse(
        self.name,
        "UnsupportedMode",
        `cannot train on ${trainOn}: a template does not say where the header of a message ends`
      )
    : Effect.void

interface Analysis {
  readonly input: TemplateInput
  readonly answers: ReadonlyArray<Answer>
  /** those that are trained */
  readonly trained: ReadonlyArray<Answer>
  readonly whole: Chat
  readonly regions: ReadonlyArray<Region>
}

const analyze = (self: ChatTemplate, conversation: Conversation, trainOn: TrainOn): Rendering<Analysis> =>
  Effect.gen(function* () {
    yield* checkMode(self, trainOn)
    const input = yield* read(self, conversation)
    yield* attempt(() => checkTrainable(self.name, input.turns, trainOn))
    const count = input.messages.length
    const answers = yield* answersOf(self, input, count)
    const last = answers.at(-1)
    const whole = last?.message === count - 1 ? last.through : yield* render(self, input, count, false)
    const isTrained = trainedTurns(input.turns, trainOn)
    const other = input.turns.findIndex(({ role }, i) => isTrained[i] === true && role !== "assistant")
    if (other >= 0 && trainOn === "customized") {
      const detail =
        "can train messages of the assistant alone: a template does not say where the header of another ends"
      return yield* refuse(self.name, "UnsupportedMode", detail, `messages.${other}.trainable`)
    }
    const trained = answers.filter(({ message }) => isTrained[message] === true)
    return { input, answers, trained, whole, regions: regionsIn(self, whole, answers) }
  })

/** Whether the whole conversation has all trained answers as they were generated. */
const isOne = ({ regions, trained }: Analysis): boolean =>
  trained.every(({ message }) => regions.some((region) => region.message === message))

/** The end of the last answer, or of the text: what a template writes behind an answer is left out. */
const endOf = ({ input, regions, whole }: Analysis): number => {
  const last = regions.at(-1)
  return last !== undefined && last.message === input.turns.length - 1 ? last.end : whole.text.length
}

/** Everything but the token that begins a text. */
const allTokens = (self: ChatTemplate, analysis: Analysis): Rendering<WeightedTokens> => {
  const { input, regions, whole } = analysis
  const weightOf = (message: number | undefined) => (message === undefined ? 1 : input.turns[message]!.weight)
  return Effect.map(encodeRegions(self, whole, regions, endOf(analysis), weightOf), ({ tokens, weights }) => {
    if (tokens[0] === self.vocabulary.tokenizer.bos?.id) weights.fill(0, 0, 1)
    return { tokens, weights }
  })
}

const exampleOfWhole = (self: ChatTemplate, analysis: Analysis): Rendering<WeightedTokens> => {
  const { input, regions, trained, whole } = analysis
  return encodeRegions(self, whole, regions, endOf(analysis), (message) =>
    message !== undefined && trained.some((answer) => answer.message === message) ? input.turns[message]!.weight : 0
  )
}

/** @internal */
export const example = (self: ChatTemplate, conversation: Conversation, trainOn: TrainOn): Rendering<WeightedTokens> =>
  Effect.gen(function* () {
    const analysis = yield* analyze(self, conversation, trainOn)
    if (trainOn === "all_tokens") return yield* allTokens(self, analysis)
    if (isOne(analysis)) return yield* exampleOfWhole(self, analysis)
    const detail = `rewrites earlier messages of this conversation, so that ${trainOn} has no exact example: ask for several`
    return yield* refuse(self.name, "UnsupportedMode", detail)
  })

/** @internal */
export const examples = (
  self: ChatTemplate,
  conversation: Conversation,
  trainOn: TrainOn
): Rendering<ReadonlyArray<WeightedTokens>> =>
  Effect.gen(function* () {
    const analysis = yield* analyze(self, conversation, trainOn)
    if (trainOn === "all_tokens") return [yield* allTokens(self, analysis)]
    if (isOne(analysis)) return [yield* exampleOfWhole(self, analysis)]
    const { answers, input, trained } = analysis
    const weighted = trained.filter(({ message }) => input.turns[message]!.weight > 0)
    return yield* Effect.forEach(weighted, (answer) => exampleOfAnswer(self, input, answers, answer))
  })

const probe = (...roles: ReadonlyArray<string>): Conversation => ({
  messages: roles.map((role, i) => ({ role, content: `text ${i}` }))
})

/** What a template does with plain conversations. @internal */
export interface Habits {
  readonly hasExtensionProperty: boolean
  /** the token that it writes behind an answer */
  readonly stopToken: number | undefined
  /** whether prompts open the reasoning of the answer */
  readonly opensThinking: boolean
}

const unknown: Habits = { hasExtensionProperty: false, stopToken: undefined, opensThinking: false }

/** Tries a template out. @internal */
export const habitsOf = (self: ChatTemplate): Effect.Effect<Habits> =>
  Effect.gen(function* () {
    const input = yield* read(self, probe("user", "assistant", "user", "assistant"))
    const [first, second] = yield* answersOf(self, input, 4)
    if (first === undefined || second === undefined) return unknown
    const region = regionOf(self.vocabulary, first)
    const start = region?.start ?? first.through.text.indexOf("text 1")
    const found = specialTokens(self.vocabulary, first.through, Math.max(0, start), first.through.text.length)
    return {
      hasExtensionProperty: region !== undefined && isKept(second.prompt, first, region),
      stopToken: found.find(({ isStructure }) => isStructure)?.id,
      opensThinking: first.prompt.text.trimEnd().endsWith("<think>")
    }
  }).pipe(Effect.orElseSucceed(() => unknown))
