/** Bounds of the fields in a request: the service keeps texts and lists, so none may be as large as a whole body. */

/** How large a field, and what is in it, may be. */
interface Bounds {
  /** of texts, in UTF-16 units */
  readonly text: number
  /** of the items of lists; lists of numbers are bounded by the body alone */
  readonly items: number
  /** of the fields of objects */
  readonly fields: number
  /** of all texts and names of fields together */
  readonly total: number
  /** whether the names of fields are those of others, so that none has bounds of its own */
  readonly isForeign?: boolean
}

const general: Bounds = { text: 1024, items: 4096, fields: 256, total: Infinity }

/** The contents of samples and of training data, which are not kept: bounded by the body, and by what may be pending. */
const contents: Bounds = { text: Infinity, items: Infinity, fields: 256, total: Infinity }

/** Bodies of other protocols, whose schemas bound every field. */
const foreign: Bounds = { ...contents, fields: 4096, isForeign: true }

/** The fields whose bounds differ, by name, wherever they stand. What is in them has the same bounds. */
const bounds: { readonly [name: string]: Bounds } = {
  user_metadata: { text: 4096, items: 0, fields: 64, total: 16_384 },
  tags: { text: 256, items: 64, fields: 0, total: 16_384 },
  display_name: { ...general, text: 256 },
  detail: { ...general, text: 4096 },
  weights_access_token: { ...general, text: 8192 },
  stop: contents,
  json_schema: { ...general, text: 2 ** 16 },
  retrieved_request_ids: { ...general, items: 65_536 },
  age_encryption_recipients: { ...general, text: 4096, items: 64 },
  data: contents,
  chunks: contents,
  model_input_spans: contents,
  loss_fn_input_spans: contents,
  events: contents
}

const maxDepth = 64
const maxName = 256

/** A field is too large. Its message has the path of the field. @internal */
export class FieldError extends Error {}

/** Where the check is: one list, whose text is made for an error alone. */
type Path = Array<string | number>

const format = (path: ReadonlyArray<string | number>): string =>
  path.length === 0
    ? "the body"
    : path
        .map((key) => (typeof key === "number" ? `[${key}]` : `.${key.slice(0, maxName)}`))
        .join("")
        .replace(/^\./, "")

const fail = (path: ReadonlyArray<string | number>, size: number, what: string, limit: number): never => {
  throw new FieldError(`${format(path)} has ${size} ${what}, but at most ${limit} are allowed`)
}

/** Counts the texts of a field that is bounded as a whole. */
interface Counter {
  /** how deep the field is */
  readonly depth: number
  count: number
}

const addText = (counter: Counter, path: Path, { total }: Bounds, size: number): void => {
  counter.count += size
  if (counter.count > total) fail(path.slice(0, counter.depth), counter.count, "characters in all", total)
}

const checkList = (list: ReadonlyArray<unknown>, path: Path, limits: Bounds, counter: Counter): void => {
  if (typeof list[0] === "number" && list.every((item) => typeof item !== "object" && typeof item !== "string")) return
  if (list.length > limits.items) fail(path, list.length, "items", limits.items)
  for (let i = 0; i < list.length; i++) {
    path.push(i)
    checkValue(list[i], path, limits, counter)
    path.pop()
  }
}

const checkObject = (
  object: { readonly [name: string]: unknown },
  path: Path,
  limits: Bounds,
  counter: Counter
): void => {
  const names = Object.keys(object)
  if (names.length > limits.fields) fail(path, names.length, "fields", limits.fields)
  for (const name of names) {
    if (name.length > maxName) fail([...path, name], name.length, "characters in its name", maxName)
    addText(counter, path, limits, name.length)
    const own = Object.hasOwn(bounds, name) ? bounds[name]! : undefined
    // the names of a user's fields mean nothing here
    path.push(name)
    if (own === undefined || limits.total < Infinity || limits.isForeign === true)
      checkValue(object[name], path, limits, counter)
    else checkValue(object[name], path, own, { depth: path.length, count: 0 })
    path.pop()
  }
}

const checkValue = (value: unknown, path: Path, limits: Bounds, counter: Counter): void => {
  if (typeof value === "string") {
    if (value.length > limits.text) fail(path, value.length, "characters", limits.text)
    return addText(counter, path, limits, value.length)
  }
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return
  if (path.length > maxDepth) throw new FieldError(`the body is nested too deeply: more than ${maxDepth} levels`)
  if (Array.isArray(value)) return checkList(value, path, limits, counter)
  checkObject(value as { readonly [name: string]: unknown }, path, limits, counter)
}

/**
 * Returns a decoded body whose fields are within their bounds.
 *
 * @throws FieldError for the first that is not
 * @internal
 */
export const check = <A>(body: A): A => {
  checkValue(body, [], general, { depth: 0, count: 0 })
  return body
}

/**
 * Returns a decoded body of another protocol, whose schema bounds its fields, if it is not nested too deeply.
 *
 * @throws FieldError if it is
 * @internal
 */
export const checkForeign = <A>(body: A): A => {
  checkValue(body, [], foreign, { depth: 0, count: 0 })
  return body
}
