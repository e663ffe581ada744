/**
 * The requests of the OpenAI protocol that the service takes: completions and chat completions. Fields that are not listed
 * are refused by name. Every number and text has a bound.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { nullish } from "./internal/schemas/optional.ts"
import { JsonValue, taggedUnion } from "./internal/schemas/wire.ts"

const text = (max: number) => Schema.String.pipe(Schema.maxLength(max))
const count = (max: number) => Schema.Int.pipe(Schema.between(1, max))

/** Any value of JSON, for a field that may be absent: `null` says that it is. */
const anyValue = JsonValue.annotations({
  arbitrary: () => (fc) => fc.jsonValue().filter((value) => value !== null)
})

/** A prompt of a few million characters is beyond any context. */
const longText = text(2 ** 22)
const tokenIds = Schema.Array(Schema.NonNegativeInt).pipe(Schema.minItems(1), Schema.maxItems(2 ** 20))
const maxPrompts = 128

/** The texts at which a choice ends. */
const Stop = Schema.Union(text(4096), Schema.Array(text(4096)).pipe(Schema.maxItems(16)))

/** What completions and chat completions have in common. */
const shared = {
  model: text(512),
  stream: nullish(Schema.Boolean),
  stream_options: nullish(
    Schema.Struct({ include_usage: nullish(Schema.Boolean), include_obfuscation: nullish(Schema.Boolean) })
  ),
  n: nullish(count(128)),
  seed: nullish(Schema.Int.pipe(Schema.between(-(2 ** 53), 2 ** 53))),
  stop: nullish(Stop),
  temperature: nullish(Schema.Finite.pipe(Schema.between(0, 100))),
  top_p: nullish(Schema.Finite.pipe(Schema.greaterThan(0), Schema.lessThanOrEqualTo(1))),
  /** how many of the most likely tokens to sample from; not of OpenAI, but of other services of its protocol */
  top_k: nullish(Schema.Int.pipe(Schema.between(-1, 2 ** 31 - 1))),
  max_tokens: nullish(count(2 ** 22)),
  // what would change the samples, and cannot: only the values without effect are taken
  presence_penalty: nullish(Schema.Finite),
  frequency_penalty: nullish(Schema.Finite),
  logit_bias: nullish(anyValue),
  // what changes nothing here
  user: nullish(anyValue)
} as const

/**
 * `POST /v1/completions`. A prompt is text or token ids, or a list of either.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CompletionRequest = Schema.Struct({
  ...shared,
  prompt: Schema.Union(
    longText,
    tokenIds,
    Schema.Array(Schema.Union(longText, tokenIds)).pipe(Schema.minItems(1), Schema.maxItems(maxPrompts))
  ),
  /** for each token, its logprob and those of so many of the most likely ones */
  logprobs: nullish(Schema.Int.pipe(Schema.between(0, 20))),
  echo: nullish(Schema.Boolean),
  best_of: nullish(Schema.Int),
  suffix: nullish(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export type CompletionRequest = typeof CompletionRequest.Type

const Parameters = Schema.Record({ key: Schema.String, value: JsonValue })

const ToolFunction = Schema.Struct({
  name: text(256).pipe(Schema.minLength(1)),
  description: nullish(text(2 ** 16)),
  parameters: nullish(Parameters),
  strict: nullish(Schema.Boolean)
})

const Named = Schema.Struct({ name: text(256) })

/** Which tools the model may call: none, those that it chooses, at least one, or one by name. */
const ToolChoice = Schema.Union(
  Schema.Literal("none", "auto", "required"),
  Schema.Struct({ type: Schema.Literal("function"), function: Named })
)

const ContentPart = taggedUnion(
  "type",
  Schema.Struct({ type: Schema.Literal("text"), text: longText }),
  Schema.Struct({ type: Schema.Literal("refusal"), refusal: longText })
)

const Content = Schema.Union(longText, Schema.Array(ContentPart).pipe(Schema.maxItems(1024)))

const ToolCall = Schema.Struct({
  id: nullish(text(256)),
  type: nullish(Schema.Literal("function")),
  index: nullish(Schema.Int),
  function: Schema.Struct({ name: text(256).pipe(Schema.minLength(1)), arguments: longText })
})

const name = nullish(text(256))

/**
 * A message of a chat: of the system or developer, the user, the assistant, or a tool.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ChatMessage = taggedUnion(
  "role",
  Schema.Struct({ role: Schema.Literal("system", "developer", "user"), content: Content, name }),
  Schema.Struct({
    role: Schema.Literal("assistant"),
    content: nullish(Content),
    refusal: nullish(Schema.String),
    reasoning_content: nullish(longText),
    tool_calls: nullish(Schema.Array(ToolCall).pipe(Schema.maxItems(256))),
    name
  }),
  Schema.Struct({ role: Schema.Literal("tool"), content: Content, tool_call_id: text(256), name })
)

/**
 * @since 0.1.0
 * @category models
 */
export type ChatMessage = typeof ChatMessage.Type

/**
 * `POST /v1/chat/completions`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ChatRequest = Schema.Struct({
  ...shared,
  messages: Schema.Array(ChatMessage).pipe(Schema.minItems(1), Schema.maxItems(4096)),
  max_completion_tokens: nullish(count(2 ** 22)),
  logprobs: nullish(Schema.Boolean),
  top_logprobs: nullish(Schema.Int.pipe(Schema.between(0, 20))),
  tools: nullish(
    Schema.Array(Schema.Struct({ type: Schema.Literal("function"), function: ToolFunction })).pipe(Schema.maxItems(256))
  ),
  tool_choice: nullish(ToolChoice),
  response_format: nullish(anyValue),
  // what changes nothing here
  parallel_tool_calls: nullish(anyValue),
  metadata: nullish(anyValue),
  store: nullish(anyValue),
  service_tier: nullish(anyValue),
  safety_identifier: nullish(anyValue),
  prompt_cache_key: nullish(anyValue),
  prompt_cache_retention: nullish(anyValue),
  reasoning_effort: nullish(anyValue),
  verbosity: nullish(anyValue)
})

/**
 * @since 0.1.0
 * @category models
 */
export type ChatRequest = typeof ChatRequest.Type

/**
 * The fields of both requests that change nothing: a response names those that its request had in this header.
 *
 * @since 0.1.0
 * @category constants
 */
export const ignored: ReadonlyArray<string> = [
  "user",
  "parallel_tool_calls",
  "metadata",
  "store",
  "service_tier",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_retention",
  "reasoning_effort",
  "verbosity"
]

/**
 * The header that lists the fields of a request that changed nothing.
 *
 * @since 0.1.0
 * @category constants
 */
export const ignoredHeader = "x-ignored-parameters"

/**
 * The header with what a client should know of a response, such as a call of a tool that could not be parsed.
 *
 * @since 0.1.0
 * @category constants
 */
export const warningHeader = "x-tinker-warning"

/**
 * The header with the key of the conversation that a request belongs to.
 *
 * @since 0.1.0
 * @category constants
 */
export const conversationHeader = "x-conversation-id"
