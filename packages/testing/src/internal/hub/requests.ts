/** Parses requests to a fake hub. */

/** @internal */
export type Kind =
  | "metadata"
  | "file"
  | "storage"
  | "account"
  | "creation"
  | "branch"
  | "preupload"
  | "batch"
  | "commit"
  | "upload"
  | "other"

/** A parsed request. @internal */
export interface Parsed {
  readonly kind: Kind
  readonly repo?: string
  readonly revision?: string
  /** the path of a file in its repository, or the SHA-256 of a large file on the storage host */
  readonly file?: string
  /** whether it asks for the list of files alone */
  readonly isTree?: boolean
  /** the number of a part of a large file that is uploaded, from 1 */
  readonly part?: number
}

const metadata = /^\/api\/models\/([^/]+(?:\/[^/]+)?)(?:\/(revision|tree)\/([^/]+)(?:\/.*)?)?$/
const shortMetadata = /^\/api\/models\/([^/]+)\/(revision|tree)\/([^/]+)$/
const write = /^\/api\/models\/([^/]+\/[^/]+)\/(branch|preupload|commit)\/([^/]+)$/
const batch = /^\/([^/]+\/[^/]+)\.git\/info\/lfs\/objects\/batch$/
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

const parseStorage = (path: string, isRead: boolean): Parsed => {
  const [oid = "", part] = path.slice(storagePath.length).split("/")
  if (isRead) return { kind: "storage", file: oid }
  return part === undefined ? { kind: "upload", file: oid } : { kind: "upload", file: oid, part: Number(part) }
}

/** What changes repositories. */
const parseWrite = (path: string): Parsed | undefined => {
  if (path === "/api/repos/create") return { kind: "creation" }
  const objects = batch.exec(path)
  if (objects !== null) return { kind: "batch", repo: objects[1]! }
  const [, repo, kind, revision] = write.exec(path) ?? []
  return repo === undefined ? undefined : { kind: kind as Kind, repo, revision: decode(revision!) }
}

/** Repositories of data sets are named `datasets/…` here, and have paths of their own. */
const parseDataset = (path: string): Parsed | undefined => {
  const api = /^\/api\/datasets(\/.*)$/.exec(path)
  const file = /^\/datasets(\/.*)$/.exec(path)
  if (api === null && file === null) return undefined
  const parsed = parse(api === null ? file![1]! : `/api/models${api[1]!}`, "GET")
  return parsed.repo === undefined ? parsed : { ...parsed, repo: `datasets/${parsed.repo}` }
}

/** @internal */
export const parse = (path: string, method: string): Parsed => {
  const isRead = method === "GET" || method === "HEAD"
  if (path.startsWith(storagePath)) return parseStorage(path, isRead)
  if (path === "/api/whoami-v2") return { kind: "account" }
  if (!isRead) return parseWrite(path) ?? { kind: "other" }
  const dataset = parseDataset(path)
  if (dataset !== undefined) return dataset
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
