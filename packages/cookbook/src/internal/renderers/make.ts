/** Renderers from formats. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import * as assemble from "../formats/assemble.ts"
import type { Grammar } from "../responses/blocks.ts"
import { RendererError, type Service, type SupervisedExample } from "../formats/model.ts"
import * as llama3 from "../formats/llama3.ts"
import * as qwen3 from "../formats/qwen3.ts"
import * as response from "../responses/response.ts"
import * as roleColon from "../formats/roleColon.ts"
import * as roleColonResponse from "../responses/roleColonResponse.ts"
import * as streaming from "../responses/streaming.ts"
import { specialToken } from "../formats/vocabulary.ts"

/** Runs what may refuse. */
const attempt = <A>(run: () => A): Effect.Effect<A, RendererError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      return error instanceof RendererError ? Effect.fail(error) : Effect.die(error)
    }
  })

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
