/**
 * Messages, tools and conversations: what the readers of training files produce and the renderers read. The schemas
 * decode the forms of OpenAI and of Hugging Face. Unknown keys are kept, in their order, for chat templates; values that
 * only templates read are not looked into, so that numbers of a lossless JSON parser arrive there as they were written.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { optionalKey } from "./internal/effect/optionalKey.ts"
import * as json from "./internal/messages/json.ts"

const rest = { key: Schema.String, value: Schema.Unknown }

/** Templates print keys in the order of the file. */
const inOrder = { parseOptions: { propertyOrder: "original" } } as const

const optional = <A, I>(schema: Schema.Schema<A, I>) => optionalKey(Schema.NullOr(schema))

/**
 * A part of a message that is text.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TextPart = Schema.Struct({ type: Schema.Literal("text"), text: Schema.String }, rest).annotations({
  identifier: "a part of text"
})

/**
 * A part of a message that is the reasoning of the model, without the tags around it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ThinkingPart = Schema.Struct(
  { type: Schema.Literal("thinking"), thinking: Schema.String },
  rest
).annotations({
  identifier: "a part of reasoning"
})

const FunctionCall = Schema.Struct(
  {
    name: Schema.NonEmptyString,
    arguments: Schema.Union(Schema.String, json.JsonObject)
  },
  rest
)

/**
 * A call of a tool: `{"type": "function", "function": {"name", "arguments"}}`, or only what is in `function`. The
 * arguments are an object, or its JSON as text.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ToolCall = Schema.Union(
  Schema.Struct({ id: optional(Schema.String), function: FunctionCall }, rest),
  FunctionCall
)

/**
 * @since 0.1.0
 * @category models
 */
export type ToolCall = typeof ToolCall.Type

/**
 * Text of the model that looks like a call of a tool but is none, and why.
 *
 * @since 0.1.0
 * @category schemas
 */
export const UnparsedToolCall = Schema.Struct({ raw_text: Schema.String, error: Schema.String }, rest)

/**
 * @since 0.1.0
 * @category models
 */
export type UnparsedToolCall = typeof UnparsedToolCall.Type

/**
 * A part of any other type, such as an image. Renderers refuse the types that they do not know.
 *
 * @since 0.1.0
 * @category schemas
 */
export const OtherPart = Schema.Struct(
  {
    type: Schema.NonEmptyString.pipe(
      Schema.filter((type) => type !== "text" && type !== "thinking", { message: () => "lacks the fields of its type" })
    )
  },
  rest
).annotations({ identifier: "a part with a type" })

/**
 * A part of the content of a message.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ContentPart = Schema.Union(TextPart, ThinkingPart, OtherPart)

/**
 * @since 0.1.0
 * @category models
 */
export type ContentPart = typeof ContentPart.Type

/**
 * What a message says: text, a list of parts, or nothing, as beside tool calls.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Content = Schema.Union(Schema.String, Schema.Array(ContentPart), Schema.Null)

/**
 * @since 0.1.0
 * @category models
 */
export type Content = typeof Content.Type

/**
 * A message. `weight` scales the weights of its tokens in the loss; 0 keeps a message out of it. `trainable` is for
 * conversations that say of each message whether it is trained.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Message = Schema.Struct(
  {
    role: Schema.NonEmptyString,
    content: optionalKey(Content),
    name: optional(Schema.String),
    tool_calls: optional(Schema.Array(ToolCall)),
    unparsed_tool_calls: optional(Schema.Array(UnparsedToolCall)),
    tool_call_id: optional(Schema.String),
    /** the reasoning of the model, beside its content */
    reasoning_content: optional(Schema.String),
    weight: optional(json.NumberFromJson.pipe(Schema.compose(Schema.Number.pipe(Schema.between(0, 1))))),
    trainable: optional(Schema.Boolean)
  },
  rest
).annotations(inOrder)

/**
 * @since 0.1.0
 * @category models
 */
export type Message = typeof Message.Type

const ToolFunction = Schema.Struct(
  { name: Schema.NonEmptyString, description: optional(Schema.String), parameters: optional(json.JsonObject) },
  rest
)

/**
 * A function that the model may call: `{"type": "function", "function": {"name", "description", "parameters"}}`, or only
 * what is in `function`. The parameters are a JSON schema.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ToolSpec = Schema.Union(
  Schema.Struct({ type: Schema.Literal("function"), function: ToolFunction }, rest),
  ToolFunction
).annotations(inOrder)

/**
 * @since 0.1.0
 * @category models
 */
export type ToolSpec = typeof ToolSpec.Type

/**
 * A conversation, with the tools that the model may call in it. Those with `split: "test"` are held out from training.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Conversation = Schema.Struct({
  messages: Schema.NonEmptyArray(Message),
  tools: optional(Schema.Array(ToolSpec)),
  split: optional(Schema.Literal("train", "test"))
}).annotations(inOrder)

/**
 * @since 0.1.0
 * @category models
 */
export type Conversation = typeof Conversation.Type
