import * as Schema from "effect/Schema"

/** A response field that a server may leave out or send as `null`: both read as absent. @internal */
export const nullish = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { nullable: true })

/** A request field that is left out of the body when it is not set. @internal */
export const optionalKey = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { exact: true })

/** Known members of an enum that servers may extend. @internal */
export const open = <const L extends ReadonlyArray<string>>(..._known: L) =>
  Schema.String as unknown as Schema.Schema<L[number] | (string & {}), string>

/** The discriminator that requests carry; servers ignore it, and it may be absent on the way in. @internal */
export const type = <const L extends string>(literal: L) =>
  Schema.optionalWith(Schema.Literal(literal), { default: () => literal })
