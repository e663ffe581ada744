/** Points in time, as the service writes them: RFC 3339, also without a zone (which then is UTC), or seconds. */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

const zone = /(?:[zZ]|[+-]\d{2}:?\d{2})$/

const parse = (value: string | number): Option.Option<DateTime.Utc> => {
  // numbers above this are milliseconds already: as seconds they would lie beyond the year 2600
  if (typeof value === "number") return DateTime.make(Math.abs(value) > 2e10 ? value : value * 1000)
  const text = value.trim().replace(/^(\d{4}-\d{2}-\d{2}) /, "$1T")
  return DateTime.make(zone.test(text) || !text.includes("T") ? text : `${text}Z`).pipe(Option.map(DateTime.toUtc))
}

/** @internal */
export const Timestamp: Schema.Schema<DateTime.Utc, string> = Schema.transformOrFail(
  Schema.Union(Schema.String, Schema.Number).annotations({
    identifier: "TimestampEncoded",
    jsonSchema: { type: "string", format: "date-time" }
  }) as unknown as Schema.Schema<string>,
  Schema.DateTimeUtcFromSelf,
  {
    strict: true,
    decode: (value: string | number, _options, ast) =>
      Option.match(parse(value), {
        onNone: () => ParseResult.fail(new ParseResult.Type(ast, value, `${JSON.stringify(value)} is not a time`)),
        onSome: ParseResult.succeed
      }),
    encode: (time) => ParseResult.succeed(DateTime.formatIso(time))
  }
)
