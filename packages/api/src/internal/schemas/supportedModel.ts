/** A base model in the capabilities of a server. Servers name it in different ways. */
import * as Schema from "effect/Schema"
import { oneOf } from "./jsonSchema.ts"
import { nullish } from "./optional.ts"

/** The encoded form with its name in `model_name`. */
const named = (encoded: unknown): { readonly model_name?: string } => {
  if (typeof encoded === "string") return { model_name: encoded }
  if (typeof encoded !== "object" || encoded === null) return encoded as never
  const { model_id, model_name } = encoded as { readonly [name: string]: unknown }
  return (model_name ?? undefined) === undefined && typeof model_id === "string"
    ? { ...encoded, model_name: model_id }
    : encoded
}

const Named = Schema.Struct({
  model_name: nullish(Schema.String),
  max_context_length: nullish(Schema.Int),
  trainable: nullish(Schema.Boolean),
  sampleable: nullish(Schema.Boolean)
})

/** @internal */
export const SupportedModel = Schema.transform(
  Schema.Unknown.annotations({ jsonSchema: oneOf(Schema.String, Named) }) as unknown as Schema.Schema<
    typeof Named.Encoded
  >,
  Named,
  {
    strict: true,
    decode: named,
    encode: (model) => model
  }
)
