/** Renderers from formats. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import * as assemble from "../formats/assemble.ts"
import type { Grammar } from "../responses/blocks.ts"
import { attempt } from "../formats/attempt.ts"
import type { RendererError, Service, SupervisedExample } from "../formats/model.ts"
import * as llama3 from "../formats/llama3.ts"
import * as qwen3 from "../formats/qwen3.ts"
import * as response from "../responses/response.ts"
import * as roleColon from "../formats/roleColon.ts"
import * as roleColonResponse from "../responses/roleColonResponse.ts"
import * as streaming from "../responses/streaming.ts"
import { refuse } from "../formats/turns.ts"
import { specialToken } from "../formats/vocabulary.ts"
import * as chatTemplate from "../templates/chatTemplate.ts"
import { vocabularyOf } from "../templates/text.ts"

const inputOf = (tokens: ReadonlyArray<number>): ModelInput.ModelInput =>
  tokens.length === 0 ? ModelInput.empty : ModelInput.fromTokens(tokens)

const exampleOf = ({ tokens, weights }: assemble.WeightedTokens): SupervisedExample => ({
  input: inputOf(tokens),
  weights
})

type Responses = Pick<Service, "stop" | "parse" | "streamingParser">

/** The parts of a renderer whose turns end with a token. */
const responsesOf = (format: response.ResponseFormat): Responses => {
  const parse: Service["parse"] = (tokens) => attempt(() => response.parse(format, Array.from(tokens)))
  return {
    stop: [format.stopToken],
    parse,
    streamingParser: () =>
      streaming.make({
        tokenizer: format.tokenizer,
        isEnd: (token) => token === format.stopToken,
        reader: streaming.blockReader(format.grammar),
        parse
      })
  }
}

const roleColonResponses = (tokenizer: Tokenizer.Service): Responses => {
  const parse: Service["parse"] = (tokens) => Effect.sync(() => roleColonResponse.parse(tokenizer, Array.from(tokens)))
  return {
    stop: [roleColon.stop],
    parse,
    streamingParser: () =>
      streaming.make({
        tokenizer,
        isEnd: (token) => token === tokenizer.eos?.id,
        reader: roleColonResponse.textReader(),
        parse
      })
  }
}

const serviceOf = (format: assemble.Format, responses: Responses): Service => ({
  name: format.name,
  hasExtensionProperty: format.hasExtensionProperty,
  generationPrompt: (messages, options = {}) => attempt(() => inputOf(assemble.prompt(format, messages, options))),
  example: (conversation, trainOn) => attempt(() => exampleOf(assemble.example(format, conversation, trainOn))),
  examples: (conversation, trainOn) => attempt(() => assemble.examples(format, conversation, trainOn).map(exampleOf)),
  ...responses
})

/** @internal */
export const makeRoleColon = (name: string, tokenizer: Tokenizer.Service): Effect.Effect<Service, RendererError> =>
  attempt(() => serviceOf(roleColon.make(name, tokenizer), roleColonResponses(tokenizer)))

const withStop = (
  format: assemble.Format,
  tokenizer: Tokenizer.Service,
  endOfTurn: string,
  grammar: Grammar
): Service => {
  const stopToken = specialToken(format.name, tokenizer, endOfTurn)
  return serviceOf(format, responsesOf({ name: format.name, tokenizer, stopToken, grammar }))
}

/** @internal */
export const makeLlama3 = (name: string, tokenizer: Tokenizer.Service): Effect.Effect<Service, RendererError> =>
  attempt(() => withStop(llama3.make(name, tokenizer), tokenizer, llama3.endOfTurn, { thinking: "none", tools: false }))

/** @internal */
export const makeQwen3 =
  (options: qwen3.Options) =>
  (name: string, tokenizer: Tokenizer.Service): Effect.Effect<Service, RendererError> =>
    attempt(() =>
      withStop(qwen3.make(name, tokenizer, options), tokenizer, qwen3.endOfTurn, {
        thinking: options.framesThinking ? "framed" : "plain",
        tools: true
      })
    )

/** @internal */
export type TemplateOptions = chatTemplate.ChatTemplate["options"]

/** The text of the template that a tokenizer would use; of all, if it has several. */
const templateOf = ({ chatTemplates }: Tokenizer.Service, { template }: TemplateOptions): string => {
  if (template === undefined) return Object.values(chatTemplates).join("\n")
  return Object.hasOwn(chatTemplates, template) ? chatTemplates[template]! : template
}

const grammarOf = (template: string, opensThinking: boolean): Grammar => ({
  thinking: template.includes("</think>") ? "framed" : "none",
  tools: template.includes("<tool_call>") && template.includes("arguments"),
  opensThinking
})

/** @internal */
export const makeChatTemplate =
  (options: TemplateOptions) =>
  (name: string, tokenizer: Tokenizer.Service): Effect.Effect<Service, RendererError> =>
    Effect.gen(function* () {
      const template = templateOf(tokenizer, options)
      if (template === "")
        return yield* refuse(name, "UnsupportedTokenizer", "needs a chat template, and this tokenizer has none")
      const self = { name, vocabulary: vocabularyOf(tokenizer), template, options }
      const { hasExtensionProperty, opensThinking, stopToken = tokenizer.eos?.id } = yield* chatTemplate.habitsOf(self)
      if (stopToken === undefined) {
        return yield* refuse(
          name,
          "UnsupportedTokenizer",
          "finds no token that ends a turn, in the template or in the tokenizer"
        )
      }
      const responses = responsesOf({ name, tokenizer, stopToken, grammar: grammarOf(template, opensThinking) })
      return {
        name,
        hasExtensionProperty,
        generationPrompt: (messages, given = {}) =>
          Effect.map(chatTemplate.prompt(self, { messages, tools: given.tools }, given), inputOf),
        example: (conversation, trainOn) => Effect.map(chatTemplate.example(self, conversation, trainOn), exampleOf),
        examples: (conversation, trainOn) =>
          Effect.map(chatTemplate.examples(self, conversation, trainOn), (all) => all.map(exampleOf)),
        ...responses
      }
    })
