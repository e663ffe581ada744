/** Schemas that many bodies of the wire share: open enums, discriminators, unions, metadata and metrics. */
import * as Schema from "effect/Schema"
import { anything, oneOf } from "./jsonSchema.ts"
import { nullishWithDefault } from "./optional.ts"

/** An enum that servers may extend: the type lists the known members, and any string decodes. @internal */
export const openEnum = <const L extends ReadonlyArray<string>>(..._known: L) =>
  Schema.String as unknown as Schema.Schema<L[number] | (string & {}), string>

/** The `type` of a body. Readers ignore it: it may be absent, `null`, or another string. @internal */
export const typeField = <const L extends string>(literal: L) =>
  nullishWithDefault(
    Schema.transform(Schema.String, Schema.Literal(literal), {
      strict: true,
      decode: () => literal,
      encode: (type) => type
    }) as unknown as Schema.Schema<L>,
    () => literal
  )

/** The `type` of a union member that this version does not know: any but the known ones. @internal */
export const otherType = (...known: ReadonlyArray<string>) =>
  Schema.String.pipe(Schema.filter((type) => !known.includes(type) || `${type} is a known type with other fields`))

/** Metadata that users attach: strings by name. @internal */
export const Metadata = Schema.Record({ key: Schema.String, value: Schema.String })

/** A record that drops the entries whose value is `null`. @internal */
export const withoutNulls = <A, I>(value: Schema.Schema<A, I>) =>
  Schema.transform(
    Schema.Record({ key: Schema.String, value: Schema.NullOr(value) }),
    Schema.Record({ key: Schema.String, value: Schema.typeSchema(value) }),
    {
      strict: true,
      decode: (record) =>
        Object.fromEntries(Object.entries(record).filter((entry): entry is [string, A] => entry[1] !== null)),
      encode: (record) => record
    }
  ) as unknown as Schema.Schema<{ readonly [key: string]: A }, { readonly [key: string]: I }>

/** Metadata as servers report it. @internal */
export const ReportedMetadata = withoutNulls(Schema.String)

/** Any JSON value. @internal */
export const JsonValue = Schema.Unknown.annotations({
  arbitrary: () => (fc) => fc.jsonValue(),
  jsonSchema: anything
})

/** A number that is `null` in JSON when it is not finite; `null` decodes to `NaN`. */
const Metric: Schema.Schema<number, number | null> = Schema.transform(
  Schema.NullOr(Schema.Number),
  Schema.Number.annotations({ arbitrary: () => (fc) => fc.double({ noDefaultInfinity: true }) }),
  {
    strict: true,
    decode: (value) => value ?? Number.NaN,
    encode: (value) => (Number.isFinite(value) ? value : null)
  }
)

/** Metrics by name. @internal */
export const Metrics = Schema.Record({ key: Schema.String, value: Metric })

const isPrimitive = (value: unknown): boolean => typeof value !== "object" && typeof value !== "function"

/**
 * A union whose members are told apart by one field. `Schema.Union` converts that field to a string, which throws for
 * some objects, so a field that is an object is rejected first.
 *
 * @internal
 */
export const taggedUnion = <const Members extends ReadonlyArray<Schema.Schema.AnyNoContext>>(
  tag: string,
  ...members: Members
): Schema.Schema<Schema.Schema.Type<Members[number]>, Schema.Schema.Encoded<Members[number]>> => {
  const withPrimitiveTag = Schema.Unknown.pipe(
    Schema.filter((value) => {
      const found = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[tag] : undefined
      return found === null || isPrimitive(found) || { path: [tag], message: "is not a string" }
    })
  )
  const union = Schema.Union(...members)
  // a union itself would have it, but the check before it accepts anything
  const described = withPrimitiveTag.annotations({ jsonSchema: oneOf(...members) })
  return Schema.compose(described, union, { strict: false }) as never
}
