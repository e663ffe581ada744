/**
 * The responses of a fake hub without faults, like those of the Hugging Face hub: files, metadata, redirects and
 * errors.
 */
import { resolve, findLarge, type StoredFile, type StoredFiles, type StoredRepository } from "./repositories.ts"
import { type Parsed, storagePath } from "./requests.ts"

/** A response with its body in memory. @internal */
export interface Reply {
  readonly status: number
  readonly headers: { readonly [name: string]: string }
  readonly body: Uint8Array
  /** what follows the body */
  readonly ending: "complete" | "connectionLost" | "silence"
}

/** The repositories and the settings of a hub. @internal */
export interface State {
  readonly repositories: ReadonlyMap<string, StoredRepository>
  /** the token that private repositories need */
  readonly token: string
}

/** @internal */
export interface Asked {
  readonly parsed: Parsed
  readonly authorization: string | undefined
  /** the header of a request for a part of a file */
  readonly range: string | undefined
  /** the URL of the storage host */
  readonly storage: string
}

const utf8 = new TextEncoder()

/** @internal */
export const reply = (status: number, headers: Reply["headers"] = {}, body: string | Uint8Array = ""): Reply => {
  const bytes = typeof body === "string" ? utf8.encode(body) : body
  return { status, headers: { "content-length": String(bytes.length), ...headers }, body: bytes, ending: "complete" }
}

/** @internal */
export const json = (body: unknown): Reply => reply(200, { "content-type": "application/json" }, JSON.stringify(body))

/** @internal */
export const error = (
  status: number,
  code: string | undefined,
  message: string,
  headers: Reply["headers"] = {}
): Reply =>
  reply(
    status,
    {
      "content-type": "application/json",
      "x-error-message": message,
      "x-request-id": "Root=1-fake",
      ...(code === undefined ? {} : { "x-error-code": code }),
      ...headers
    },
    JSON.stringify({ error: message })
  )

/** Why a request may not see a repository. @internal */
export const rejection = (
  { token }: State,
  repository: StoredRepository | undefined,
  authorization: string | undefined
): Reply | undefined => {
  const isLoggedIn = authorization === `Bearer ${token}`
  if (authorization !== undefined && !isLoggedIn) {
    return error(401, undefined, "Invalid credentials in Authorization header")
  }
  if (repository === undefined || (repository.access === "private" && !isLoggedIn)) {
    return error(isLoggedIn ? 404 : 401, "RepoNotFound", "Repository not found")
  }
  if (repository.access !== "gated") return undefined
  return error(isLoggedIn ? 403 : 401, "GatedRepo", "Access to this model is restricted")
}

const large = ({ bytes, sha256 }: StoredFile) => ({
  lfs: { oid: sha256, sha256, size: bytes.length, pointerSize: 134 }
})

const info = ({ access, id }: StoredRepository, commit: string, files: StoredFiles): Reply =>
  json({
    _id: "0",
    id,
    modelId: id,
    sha: commit,
    private: access === "private",
    gated: access === "gated" ? "manual" : false,
    disabled: false,
    tags: [],
    downloads: 0,
    likes: 0,
    siblings: Array.from(files, ([rfilename, file]) => ({
      rfilename,
      size: file.bytes.length,
      blobId: file.blobId,
      ...(file.large ? large(file) : {})
    }))
  })

const tree = (files: StoredFiles): Reply =>
  json(
    Array.from(files, ([path, file]) => ({
      type: "file",
      path,
      size: file.bytes.length,
      oid: file.blobId,
      ...(file.large ? large(file) : {})
    }))
  )

/** A file, or the part of it that was asked for. */
const bytesReply = (headers: Reply["headers"], bytes: Uint8Array, range: string | undefined): Reply => {
  const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? []
  if (start === undefined || bytes.length === 0) return reply(200, headers, bytes)
  const part = bytes.subarray(Number(start), Number(end) + 1)
  const contentRange = `bytes ${start}-${Number(start) + part.length - 1}/${bytes.length}`
  return reply(206, { ...headers, "content-range": contentRange }, part)
}

const fileReply = (commit: string, file: StoredFile | undefined, { range, storage }: Asked): Reply => {
  const headers = { "x-repo-commit": commit }
  if (file === undefined) return error(404, "EntryNotFound", "Entry not found", headers)
  if (!file.large) {
    return bytesReply({ ...headers, etag: `"${file.blobId}"`, "content-type": "text/plain" }, file.bytes, range)
  }
  return reply(302, {
    ...headers,
    "x-linked-etag": `"${file.sha256}"`,
    "x-linked-size": String(file.bytes.length),
    location: `${storage}${storagePath}${file.sha256}?signature=fake`
  })
}

const storageReply = ({ repositories }: State, { authorization, parsed, range }: Asked): Reply => {
  if (authorization !== undefined) return reply(400, {}, "the token was sent to the storage host")
  const file = findLarge(repositories.values(), parsed.file!)
  return file === undefined
    ? reply(404)
    : bytesReply({ etag: `"${file.sha256}"`, "content-type": "application/octet-stream" }, file.bytes, range)
}

/** The response to a request. @internal */
export const replyTo = (state: State, asked: Asked): Reply => {
  const { authorization, parsed } = asked
  if (parsed.kind === "storage") return storageReply(state, asked)
  if (parsed.kind === "other") return error(404, undefined, "Not Found")
  const repository = state.repositories.get(parsed.repo!)
  const rejected = rejection(state, repository, authorization)
  if (rejected !== undefined || repository === undefined) return rejected!
  const commit = resolve(repository, parsed.revision!)
  if (commit === undefined) return error(404, "RevisionNotFound", `Invalid rev id: ${encodeURI(parsed.revision!)}`)
  const files = repository.commits.get(commit)!
  if (parsed.kind === "file") return fileReply(commit, files.get(parsed.file!), asked)
  return parsed.isTree === true ? tree(files) : info(repository, commit, files)
}
