/** Where the tokenizer of a base model comes from. */
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Tokenizers from "@effect-tinker/tokenizers/Tokenizers"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as embedded from "./embedded.ts"

/** The base model that ships with the engine. @internal */
export const shippedModel = "effect-tinker/nano"

/** The tokenizer of `shippedModel`. @internal */
export const shipped = Effect.gen(function* () {
  const local = yield* embedded.load
  const { directory } = yield* Effect.promise(() => local.shipped())
  return yield* Tokenizer.fromDirectory(directory)
})

/** The tokenizer of a model on the Hugging Face hub. @internal */
export const fromHub = (model: string, tokenizer_id?: string) =>
  Effect.flatMap(Tokenizers.Tokenizers, ({ forModel }) => forModel(model, tokenizer_id)).pipe(
    Effect.provide(Tokenizers.layerConfig().pipe(Layer.provide(NodeHttpClient.layer)))
  )
