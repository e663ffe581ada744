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

const isPlain = (value: unknown): boolean => typeof value !== "object" && typeof value !== "function"

/**
 * A union whose members are told apart by a field. The library makes a text of whatever stands there, which throws for
 * some objects: these are refused before.
 *
 * @internal
 */
export const tagged = <const Members extends ReadonlyArray<Schema.Schema.AnyNoContext>>(
  tag: string,
  ...members: Members
): Schema.Schema<Schema.Schema.Type<Members[number]>, Schema.Schema.Encoded<Members[number]>> => {
  const readable = Schema.Unknown.pipe(
    Schema.filter((value) => {
      const found = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[tag] : undefined
      return found === null || isPlain(found) || { path: [tag], message: "is no text" }
    })
  )
  return Schema.compose(readable, Schema.Union(...members), { strict: false }) as never
}
