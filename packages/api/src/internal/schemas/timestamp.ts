/** Points in time as the service writes them: RFC 3339, where a missing zone means UTC, or seconds since the epoch. */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Invalid, transformOrInvalid } from "../effect/parseError.ts"

const zone = /(?:[zZ]|[+-]\d{2}:?\d{2})$/

// As seconds, numbers above this lie beyond the year 2600, so they are milliseconds.
const maxSeconds = 2e10

const parse = (value: string | number): Option.Option<DateTime.Utc> => {
  if (typeof value === "number") return DateTime.make(Math.abs(value) > maxSeconds ? value : value * 1000)
  const text = value.trim().replace(/^(\d{4}-\d{2}-\d{2}) /, "$1T")
  return DateTime.make(zone.test(text) || !text.includes("T") ? text : `${text}Z`).pipe(Option.map(DateTime.toUtc))
}

/** @internal */
export const Timestamp: Schema.Schema<DateTime.Utc, string> = transformOrInvalid(
  Schema.Union(Schema.String, Schema.Number).annotations({
    identifier: "TimestampEncoded",
    jsonSchema: { type: "string", format: "date-time" }
  }) as unknown as Schema.Schema<string>,
  Schema.DateTimeUtcFromSelf,
  {
    decode: (value) =>
      Option.getOrElse(parse(value), () => new Invalid(`${JSON.stringify(value)} is not a time`, value)),
    encode: DateTime.formatIso
  }
)
