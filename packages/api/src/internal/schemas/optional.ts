/** Optional fields of structs. Only this file uses `Schema.optionalWith`, whose form changes in Effect 4. */
import * as Schema from "effect/Schema"

/** A field that may be absent. @internal */
export const optionalKey = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { exact: true })

/** A field that may be absent or `null`; both decode to absent. @internal */
export const nullish = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { nullable: true })

/** A field that decodes to a default when it is absent. @internal */
export const withDefault = <A, I, R>(schema: Schema.Schema<A, I, R>, value: () => NoInfer<A>) =>
  Schema.optionalWith(schema, { default: value })

/** A field that decodes to a default when it is absent or `null`. @internal */
export const nullishWithDefault = <A, I, R>(schema: Schema.Schema<A, I, R>, value: () => NoInfer<A>) =>
  Schema.optionalWith(schema, { nullable: true, default: value })
