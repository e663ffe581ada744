/** What a request to a fake hub asks for. */

/** @internal */
export type Kind = "metadata" | "file" | "storage" | "other"

/** A request by what it asks for. @internal */
export interface Parsed {
  readonly kind: Kind
  readonly repo?: string
  readonly revision?: string
  /** the path of a file in its repository, or the SHA-256 of a large file on the storage host */
  readonly file?: string
  /** whether it asks for the list of files alone */
  readonly isTree?: boolean
}

const metadata = /^\/api\/models\/([^/]+(?:\/[^/]+)?)(?:\/(revision|tree)\/([^/]+)(?:\/.*)?)?$/
const shortMetadata = /^\/api\/models\/([^/]+)\/(revision|tree)\/([^/]+)$/
const file = /^\/([^/]+(?:\/[^/]+)?)\/resolve\/([^/]+)\/(.+)$/

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The path of large files on the storage host. @internal */
export const storagePath = "/large/"

/** @internal */
export const parse = (path: string): Parsed => {
  if (path.startsWith(storagePath)) return { kind: "storage", file: path.slice(storagePath.length) }
  const api = shortMetadata.exec(path) ?? metadata.exec(path)
  if (api !== null) {
    const [, repo, action, revision = "main"] = api
    return { kind: "metadata", repo: repo!, revision: decode(revision), isTree: action === "tree" }
  }
  const resolved = file.exec(path)
  if (resolved === null) return { kind: "other" }
  const [, repo, revision, name] = resolved
  return { kind: "file", repo: repo!, revision: decode(revision!), file: decode(name!) }
}
