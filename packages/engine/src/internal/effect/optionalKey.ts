/** Optional fields of structs. Only this file uses `Schema.optionalWith`, whose form changes in Effect 4. */
import * as Schema from "effect/Schema"

/** A field that may be absent. @internal */
export const optionalKey = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { exact: true })
