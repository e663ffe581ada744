/**
 * The formats that the service needs to speak the OpenAI protocol (`TextFormats` of `@effect-tinker/server`), from tokenizers
 * and renderers.
 *
 * ```ts
 * const formats = yield* ChatFormats.make({ tokenizerOf: (model) => tokenizers.forModel(model) })
 * const ServerLive = NodeServer.layer({ openAi: { formats } })
 * ```
 *
 * @since 0.1.0
 */
import * as TextFormats from "@effect-tinker/server/TextFormats"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import { chatOf, readerOf } from "./internal/chat/format.ts"
import * as Renderer from "./Renderer.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<E> {
  readonly tokenizerOf: (baseModel: string) => Effect.Effect<Tokenizer.Service, E>
  /**
   * The name of a model's renderer; by default the one that a checkpoint was trained with, where its run says so in its
   * metadata (`Renderer.metadataKey`), else the one that is recommended for the model, and else the chat template of its
   * tokenizer.
   */
  readonly rendererOf?: ((baseModel: string) => string | undefined) | undefined
}

const chatTemplate = "chat_template"

type Metadata = { readonly [key: string]: unknown } | undefined

/** The renderer that a run was trained with. */
const storedIn = (metadata: Metadata): string | undefined => {
  const name = metadata?.[Renderer.metadataKey]
  return typeof name === "string" && name !== "" ? name : undefined
}

const rendererOf = <E>(
  { rendererOf }: Options<E>,
  model: string,
  stored: string | undefined,
  tokenizer: Tokenizer.Service
) =>
  Effect.gen(function* () {
    const given = rendererOf?.(model) ?? stored
    if (given !== undefined) return yield* Renderer.make(given, tokenizer)
    const [recommended] = yield* Effect.orElseSucceed(Renderer.forModel(model), () => [chatTemplate] as const)
    // a model may have the name of a family, and another tokenizer
    return yield* Effect.orElse(Renderer.make(recommended, tokenizer), () => Renderer.make(chatTemplate, tokenizer))
  })

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/**
 * Makes the formats of models on their first use, and keeps them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E>(options: Options<E>): Effect.Effect<TextFormats.Service> => {
  const formatOf = (
    model: string,
    stored: string | undefined
  ): Effect.Effect<TextFormats.TextFormat, TextFormats.FormatError> =>
    Effect.gen(function* () {
      const tokenizer = yield* options.tokenizerOf(model)
      const renderer = yield* rendererOf(options, model, stored, tokenizer)
      return {
        encode: (text) => tokenizer.encode(text),
        decode: (tokens) => tokenizer.decode(tokens),
        reader: (stop) => readerOf(tokenizer, stop),
        chat: chatOf(renderer)
      } satisfies TextFormats.TextFormat
    }).pipe(Effect.mapError((error) => new TextFormats.FormatError({ path: "model", detail: messageOf(error) })))
  // failures are not kept: a tokenizer may be there the next time
  return Effect.sync(() => {
    const known = new Map<string, TextFormats.TextFormat>()
    return {
      forModel: (model, metadata) =>
        Effect.suspend(() => {
          const stored = storedIn(metadata)
          const key = `${stored ?? ""} ${model}`
          const before = known.get(key)
          return before === undefined
            ? Effect.tap(formatOf(model, stored), (format) => Effect.sync(() => known.set(key, format)))
            : Effect.succeed(before)
        })
    }
  })
}
