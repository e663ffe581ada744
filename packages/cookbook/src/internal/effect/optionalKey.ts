/** A key that may be missing. Effect 4 has it under this name. */
import * as Schema from "effect/Schema"

/** @internal */
export const optionalKey = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { exact: true })
