/** The error of everything that reads data, with the place that is at fault. */
import * as Schema from "effect/Schema"
import { optionalKey } from "../effect/optionalKey.ts"

// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** Text of a file in one printable line: its control characters as escapes, and not much of it. @internal */
export const printable = (text: string, longest = 200): string => {
  const clean = text.replace(control, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)
  return clean.length > longest ? `${clean.slice(0, longest)}…` : clean
}

/**
 * Data that cannot be read, or a record that is not valid.
 *
 * @since 0.1.0
 * @category errors
 */
export class DatasetError extends Schema.TaggedError<DatasetError>("@effect-tinker/cookbook/Dataset/DatasetError")(
  "DatasetError",
  {
    path: Schema.String,
    /** of a file by lines, counted from 1; undefined if the error concerns the whole file */
    line: optionalKey(Schema.Int),
    /** the row of a file that has no lines, counted from 0 */
    row: optionalKey(Schema.Int),
    /** the path to the field of the record, such as `messages.2.content` */
    field: optionalKey(Schema.String),
    /** what is wrong, and what to do */
    reason: Schema.String,
    cause: optionalKey(Schema.Defect)
  }
) {
  override get message(): string {
    const place = this.line !== undefined ? `:${this.line}` : this.row !== undefined ? ` row ${this.row}` : ""
    return printable(`${this.path}${place}: ${this.field === undefined ? "" : `${this.field}: `}${this.reason}`, 2000)
  }
}
