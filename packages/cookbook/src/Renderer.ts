/**
 * Renderers turn conversations into tokens with weights, and the responses of a model into messages. Each writes the format
 * that models of one family know, as the renderers of tinker-cookbook with the same names.
 *
 * @since 0.1.0
 */
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as families from "./internal/renderers/families.ts"
import type { Delta, RendererError, Service } from "./internal/formats/model.ts"
import { makeChatTemplate } from "./internal/renderers/make.ts"
import * as registry from "./internal/renderers/registry.ts"

export * from "./internal/formats/model.ts"

/**
 * The renderer of a program.
 *
 * @since 0.1.0
 * @category tags
 */
export class Renderer extends Context.Tag("@effect-tinker/cookbook/Renderer/Renderer")<Renderer, Service>() {}

/**
 * No renderer has this name.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownRenderer extends Schema.TaggedError<UnknownRenderer>(
  "@effect-tinker/cookbook/Renderer/UnknownRenderer"
)("UnknownRenderer", { name: Schema.String, known: Schema.Array(Schema.String) }) {
  override get message(): string {
    return `there is no renderer ${this.name}: choose one of ${this.known.join(", ")}, or add it with Renderer.layerRenderers`
  }
}

/**
 * No renderer is known to fit a model. `recommended` are the names of those that would, but that are not registered.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownModel extends Schema.TaggedError<UnknownModel>("@effect-tinker/cookbook/Renderer/UnknownModel")(
  "UnknownModel",
  { model: Schema.String, recommended: Schema.Array(Schema.String) }
) {
  override get message(): string {
    const known =
      this.recommended.length === 0
        ? "no renderer is known to fit it"
        : `its format ${this.recommended.join(" or ")} is not among the renderers`
    return `${this.model}: ${known}. Name a renderer; chat_template follows the template of the tokenizer`
  }
}

/**
 * A name has two renderers.
 *
 * @since 0.1.0
 * @category errors
 */
export class DuplicateRenderer extends Schema.TaggedError<DuplicateRenderer>(
  "@effect-tinker/cookbook/Renderer/DuplicateRenderer"
)("DuplicateRenderer", { name: Schema.String }) {
  override get message(): string {
    return `there is a renderer ${this.name} already: choose another name, since runs store it`
  }
}

/**
 * Makes the renderer of a name from a tokenizer.
 *
 * @since 0.1.0
 * @category models
 */
export type Make = registry.Make

/**
 * Renderers by name.
 *
 * @since 0.1.0
 * @category models
 */
export type Definitions = { readonly [name: string]: Make }

/**
 * The renderers that a program knows beside those of this package.
 *
 * @since 0.1.0
 * @category tags
 */
export class Renderers extends Context.Tag("@effect-tinker/cookbook/Renderer/Renderers")<Renderers, Definitions>() {}

const definitions: Effect.Effect<Definitions> = Effect.map(Effect.serviceOption(Renderers), (added) => ({
  ...registry.builtIn,
  ...Option.getOrElse(added, () => ({}))
}))

/**
 * Adds renderers to those of this package and of the layers below. It fails if a name is taken.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRenderers = (added: Definitions): Layer.Layer<Renderers, DuplicateRenderer> =>
  Layer.effect(
    Renderers,
    Effect.flatMap(definitions, (known) => {
      const taken = Object.keys(added).find((name) => Object.hasOwn(known, name))
      return taken === undefined ? Effect.succeed({ ...known, ...added }) : new DuplicateRenderer({ name: taken })
    })
  )

/**
 * The names of all renderers.
 *
 * @since 0.1.0
 * @category getters
 */
export const names: Effect.Effect<ReadonlyArray<string>> = Effect.map(definitions, Object.keys)

/**
 * The renderer of a name. It fails with a `RendererError` if the tokenizer is of another family.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  name: string,
  tokenizer: Tokenizer.Service
): Effect.Effect<Service, RendererError | UnknownRenderer> =>
  Effect.flatMap(definitions, (known) => {
    const found = Object.hasOwn(known, name) ? known[name] : undefined
    return found === undefined
      ? Effect.fail<RendererError | UnknownRenderer>(new UnknownRenderer({ name, known: Object.keys(known) }))
      : found(name, tokenizer)
  })

/**
 * A renderer over the chat template of a tokenizer, or over another one, with variables such as `enable_thinking`. What is
 * trained is found by rendering: it refuses a conversation in which that cannot be told. Its name is stored with the run, so
 * it should tell the variables apart; `chat_template` is the one without.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromChatTemplate = (
  name: string,
  tokenizer: Tokenizer.Service,
  options: Pick<Tokenizer.ChatOptions, "template" | "variables"> = {}
): Effect.Effect<Service, RendererError> => makeChatTemplate(options)(name, tokenizer)

/**
 * The names of the renderers that fit a model, the most recommended first. It fails for a model that nothing is known of,
 * and for one whose format is not among the renderers.
 *
 * @since 0.1.0
 * @category getters
 */
export const forModel = (model: string): Effect.Effect<readonly [string, ...Array<string>], UnknownModel> =>
  Effect.flatMap(names, (known) => {
    const recommended = families.recommended(model) ?? []
    const [first, ...others] = recommended.filter((name) => known.includes(name))
    return first === undefined ? new UnknownModel({ model, recommended }) : Effect.succeed([first, ...others] as const)
  })

/**
 * The name of a run's renderer in its user metadata.
 *
 * @since 0.1.0
 * @category constants
 */
export const metadataKey = "renderer_name"

/**
 * Which renderer to use, from the names that a program and the user metadata of a loaded run give: the chosen one, else the
 * one that the run was trained with, else the one that fits the model. A choice that differs from the run's, or that is not
 * recommended for the model, is logged as a warning.
 *
 * @since 0.1.0
 * @category getters
 */
export const choose = Effect.fn("Renderer.choose")(function* (options: {
  readonly model: string
  readonly chosen?: string | undefined
  /** user metadata of the run that is loaded */
  readonly metadata?: { readonly [key: string]: unknown } | undefined
}) {
  const { chosen, metadata, model } = options
  const value = metadata?.[metadataKey]
  const stored = typeof value === "string" && value !== "" ? value : undefined
  const fallback = yield* Effect.either(forModel(model))
  const name = chosen ?? stored
  if (name === undefined) return (yield* fallback)[0]
  if (stored !== undefined && stored !== name) {
    yield* Effect.logWarning(
      `the run was trained with the renderer ${stored}, and ${name} was chosen: its format differs`
    )
  }
  if (fallback._tag === "Right" && !fallback.right.includes(name)) {
    yield* Effect.logWarning(`the renderer ${name} is not recommended for ${model}: ${fallback.right.join(", ")} is`)
  }
  return name
})

/**
 * The renderer of a name, as a layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  name: string,
  tokenizer: Tokenizer.Service
): Layer.Layer<Renderer, RendererError | UnknownRenderer> => Layer.effect(Renderer, make(name, tokenizer))

/**
 * The deltas of a response that arrives token by token.
 *
 * @since 0.1.0
 * @category combinators
 */
export const parseStream = <E, R>(
  self: Service,
  tokens: Stream.Stream<number, E, R>
): Stream.Stream<Delta, E | RendererError, R> =>
  Stream.suspend(() => {
    const parser = self.streamingParser()
    const last = Stream.unwrap(Effect.map(parser.finish, Stream.fromIterable))
    return Stream.concat(Stream.mapConcat(tokens, parser.push), last)
  })
