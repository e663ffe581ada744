/** Parses the header `Content-Type`: the exact media type, and its parameters. */

/** @internal */
export interface MediaType {
  /** in lower case, such as `application/json` */
  readonly type: string
  /** names are in lower case */
  readonly parameters: ReadonlyMap<string, string>
}

const token = "[\\w!#$%&'*+.^`|~-]+"
const typePattern = new RegExp(`^\\s*(${token}/${token})\\s*(?=;|$)`)
const parameterPattern = new RegExp(`;\\s*(?:(${token})=(?:(${token})|"((?:[^"\\\\]|\\\\.)*)")\\s*)?(?=;|$)`, "y")

/** The media type in a header; `undefined` where there is none, or more than one, or a malformed parameter. @internal */
export const parse = (header: string | undefined): MediaType | undefined => {
  const found = typePattern.exec(header ?? "")
  if (header === undefined || found === null) return undefined
  const parameters = new Map<string, string>()
  parameterPattern.lastIndex = found[0].length
  while (parameterPattern.lastIndex < header.length) {
    const parameter = parameterPattern.exec(header)
    if (parameter === null) return undefined
    const [, name, plain, quoted = ""] = parameter
    if (name !== undefined) parameters.set(name.toLowerCase(), plain ?? quoted.replace(/\\(.)/g, "$1"))
  }
  return { type: found[1]!.toLowerCase(), parameters }
}

/** The media type in a header, without its parameters; `undefined` where it is none. @internal */
export const typeOf = (header: string | undefined): string | undefined => parse(header)?.type
