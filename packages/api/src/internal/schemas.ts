import * as Schema from "effect/Schema"

/** A response field that a server may leave out or send as `null`: both read as absent. @internal */
export const nullish = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { nullable: true })

/** A request field that is left out of the body when it is not set. @internal */
export const optionalKey = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { exact: true })

/** Known members of an enum that servers may extend. @internal */
export const open = <const L extends ReadonlyArray<string>>(..._known: L) =>
  Schema.String as unknown as Schema.Schema<L[number] | (string & {}), string>

/** The discriminator that bodies carry; readers ignore it, and it may be absent or `null`. @internal */
export const type = <const L extends string>(literal: L) =>
  Schema.optionalWith(Schema.Literal(literal), { nullable: true, default: () => literal })

/** A member of a union that this version does not know: its `type` is none of the known ones. @internal */
export const other = (...known: ReadonlyArray<string>) =>
  Schema.String.pipe(Schema.filter((type) => !known.includes(type) || `${type} has fields of its own`))

/** Text by text, as users attach it to things. @internal */
export const metadata = Schema.Record({ key: Schema.String, value: Schema.String })

/** Any JSON value. @internal */
export const json = Schema.Unknown.annotations({ arbitrary: () => (fc) => fc.jsonValue() })

/** A number that may be none: JSON has no `NaN`, so that it is `null` there. @internal */
export const measure: Schema.Schema<number, number | null> = Schema.transform(
  Schema.NullOr(Schema.Number),
  Schema.Number.annotations({ arbitrary: () => (fc) => fc.double({ noDefaultInfinity: true }) }),
  {
    strict: true,
    decode: (value) => value ?? Number.NaN,
    encode: (value) => (Number.isFinite(value) ? value : null)
  }
)

/** Measurements by name. @internal */
export const metrics = Schema.Record({ key: Schema.String, value: measure })
