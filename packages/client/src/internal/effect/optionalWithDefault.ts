/** Optional fields of structs. Only this file uses `Schema.optionalWith`, whose form changes in Effect 4. */
import * as Schema from "effect/Schema"

/** A field that decodes to a default when it is absent. @internal */
export const optionalWithDefault = <A, I, R>(schema: Schema.Schema<A, I, R>, value: () => NoInfer<A>) =>
  Schema.optionalWith(schema, { default: value })
