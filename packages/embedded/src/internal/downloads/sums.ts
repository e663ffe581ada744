/** The list of a model's files with their hashes, as the program sha256sum writes it. */
import * as Either from "effect/Either"

/** The name of the list, in the directory of the model. @internal */
export const listName = "SHA256SUMS"

/** How long the list may be, in bytes. @internal */
export const mostListBytes = 65_536

const mostFiles = 256

/** @internal */
export interface Listed {
  readonly name: string
  /** hexadecimal, in lower case */
  readonly sha256: string
}

const line = /^([0-9a-f]{64}) [ *]([A-Za-z0-9_][A-Za-z0-9_.-]{0,200})$/

/** The files of the list; on the left, why it is none. @internal */
export const parse = (text: string): Either.Either<ReadonlyArray<Listed>, string> => {
  const files = new Map<string, Listed>()
  const lines = text.split(/\r?\n/)
  if (lines.length > mostFiles) return Either.left(`has more than ${mostFiles} lines`)
  for (const [i, content] of lines.entries()) {
    if (content === "") continue
    const [, sha256, name] = line.exec(content) ?? []
    if (sha256 === undefined || name === undefined) {
      return Either.left(`has in line ${i + 1} no SHA-256 with the name of a file beside it, as sha256sum writes them`)
    }
    if (files.has(name)) return Either.left(`has ${name} twice, the second time in line ${i + 1}`)
    files.set(name, { name, sha256 })
  }
  return files.has("config.json") ? Either.right([...files.values()]) : Either.left("does not list config.json")
}
