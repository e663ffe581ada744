/** The Hugging Face hub in memory, and a storage host for large files, as far as uploads need them. */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import { stubServer } from "./fixtures.ts"

export const token = "hf_secretOfTheTests"

export interface Commit {
  readonly repo: string
  readonly branch: string
  readonly pullRequest: boolean
  readonly title: string
  readonly files: Files
}

/** Text by paths; a large file by its size. */
export type Files = { readonly [path: string]: string }

interface Repo {
  visibility: string
  /** The newest commit of each branch. */
  readonly branches: Map<string, string>
  readonly commits: Map<string, Files>
}

export interface State {
  readonly repos: Map<string, Repo>
  /** Large files, by their SHA-256. */
  readonly blobs: Map<string, Buffer>
  /** The parts of large files that are not complete. */
  readonly parts: Map<string, Map<number, Buffer>>
  readonly commits: Array<Commit>
  /** All requests, as `POST /api/repos/create`. */
  readonly requests: Array<string>
}

interface Request {
  readonly method: string
  readonly url: URL
  readonly headers: IncomingMessage["headers"]
  readonly body: Buffer
}

interface Response {
  readonly status?: number
  readonly headers?: { readonly [name: string]: string | number }
  /** Text is sent as it is, anything else as JSON. */
  readonly body: unknown
}

/** A request that fails with a status or another response, that loses its connection, or that never gets a response. */
export type Fault = number | Response | "hang" | "reset" | undefined

export interface Options {
  /** Chooses the requests that fail, by method and path. */
  readonly faultOf?: (method: string, path: string) => Fault
  readonly token?: string
  readonly account?: unknown
  /** The size of the parts in which large files are uploaded; in one piece if undefined. */
  readonly partSize?: number
}

const ada = { type: "user", name: "ada", orgs: [{ type: "org", name: "team" }] }

const error = (status: number, message: string, code?: string): Response => ({
  status,
  headers: code === undefined ? {} : { "x-error-code": code },
  body: { error: message }
})

const readBody = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex")

/** Adds a commit to a branch. Succeeds with its name. */
const push = (repo: Repo, branch: string, files: Files): string => {
  const name = createHash("sha1")
    .update(`${branch} ${repo.commits.size} ${JSON.stringify(files)}`)
    .digest("hex")
  repo.commits.set(name, files)
  repo.branches.set(branch, name)
  return name
}

/** Makes a repository with files on the branch `main`. */
export const addRepo = (state: State, id: string, visibility: string, files: Files = {}): Repo => {
  const repo: Repo = { visibility, branches: new Map(), commits: new Map() }
  push(repo, "main", files)
  state.repos.set(id, repo)
  return repo
}

/** The files at a branch, or undefined. */
export const filesAt = (state: State, id: string, branch = "main"): Files | undefined => {
  const repo = state.repos.get(id)
  return repo?.commits.get(repo.branches.get(branch) ?? branch)
}

/** Commits files on top of what is on a branch. */
export const commitTo = (state: State, id: string, files: Files, branch = "main"): void => {
  push(state.repos.get(id)!, branch, { ...filesAt(state, id, branch), ...files })
}

/** Stores a large file, a part of one, or completes one. The storage is another host, and must not receive the token. */
const handleStorage = ({ blobs, parts }: State, { body, headers, method, url }: Request): Response => {
  if (headers.authorization !== undefined) return error(400, "the token was sent")
  const [, , oid = "", part] = url.pathname.split("/")
  if (method === "PUT" && part !== undefined) {
    parts.set(oid, (parts.get(oid) ?? new Map<number, Buffer>()).set(Number(part), body))
    return { headers: { etag: `"${sha256(body)}"` }, body: "" }
  }
  const bytes =
    method === "PUT" ? body : Buffer.concat([...parts.get(oid)!].sort(([a], [b]) => a - b).map(([, x]) => x))
  if (sha256(bytes) !== oid) return error(400, "corrupt")
  blobs.set(oid, bytes)
  parts.delete(oid)
  return { body: {} }
}

const createRepo = (state: State, { body }: Request): Response => {
  const { name, organization, private: isPrivate, visibility } = JSON.parse(String(body))
  const id = `${organization ?? "ada"}/${name}`
  if (state.repos.has(id)) return error(409, "You already created this model repo")
  addRepo(state, id, visibility ?? (isPrivate ? "private" : "public"))
  return { body: { url: `https://hub/${id}`, id } }
}

const createBranch = (repo: Repo, branch: string, { body }: Request): Response => {
  if (repo.branches.has(branch)) return error(409, "Reference already exists")
  const { emptyBranch } = JSON.parse(String(body))
  push(repo, branch, emptyBranch ? {} : repo.commits.get(repo.branches.get("main")!)!)
  return { body: {} }
}

const revisionNotFound = error(404, "Invalid rev id", "RevisionNotFound")

const info = (id: string, repo: Repo, revision: string): Response => {
  const sha = repo.branches.get(revision === "HEAD" ? "main" : revision)
  return sha === undefined ? revisionNotFound : { body: { id, sha, private: repo.visibility !== "public" } }
}

/** The content of a small file. */
const resolveFile = (repo: Repo, revision: string, file: string): Response => {
  const files = repo.commits.get(repo.branches.get(revision) ?? revision)
  if (files === undefined) return revisionNotFound
  const text = files[file]
  if (text === undefined) return error(404, "Entry not found", "EntryNotFound")
  const size = Buffer.byteLength(text)
  return { headers: { etag: '"x"', "content-range": `bytes 0-0/${size}`, "content-length": size }, body: text }
}

const preupload = ({ body }: Request): Response => {
  const { files } = JSON.parse(String(body)) as { files: Array<{ path: string }> }
  return {
    body: {
      files: files.map(({ path }) => ({ path, uploadMode: path.endsWith(".safetensors") ? "lfs" : "regular" }))
    }
  }
}

/** Where to upload large files. There is nothing to do for those that are there. */
const uploadUrls = ({ blobs }: State, { body, headers }: Request, partSize: number | undefined): Response => {
  const { objects } = JSON.parse(String(body)) as { objects: Array<{ oid: string; size: number }> }
  const storage = `http://${headers.host!.replace("127.0.0.1", "localhost")}/storage`
  const uploadOf = (oid: string, size: number) => {
    if (partSize === undefined) return { href: `${storage}/${oid}?signature=secret` }
    const parts = Array.from({ length: Math.ceil(size / partSize) }, (_, i) => [
      String(i + 1).padStart(5, "0"),
      `${storage}/${oid}/${i + 1}?signature=secret`
    ])
    return { href: `${storage}/${oid}`, header: { chunk_size: String(partSize), ...Object.fromEntries(parts) } }
  }
  return {
    body: {
      transfer: partSize === undefined ? "basic" : "multipart",
      objects: objects.map(({ oid, size }) => ({
        oid,
        size,
        ...(blobs.has(oid) ? {} : { actions: { upload: uploadOf(oid, size) } })
      }))
    }
  }
}

const commit = (state: State, id: string, branch: string, request: Request): Response => {
  const { blobs, commits, repos } = state
  const [header, ...changes] = String(request.body)
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
  const head = repos.get(id)!.branches.get(branch)
  if (head === undefined) return revisionNotFound
  const { parentCommit, summary } = header.value
  if (parentCommit !== undefined && parentCommit !== head) return error(412, "A commit has happened since")
  const files: Record<string, string> = {}
  for (const { key, value } of changes) {
    if (key === "file") files[value.path] = String(Buffer.from(value.content, value.encoding))
    if (key === "lfsFile") files[value.path] = `${blobs.get(value.oid)!.length} bytes`
  }
  const pullRequest = request.url.searchParams.get("create_pr") === "1"
  if (!pullRequest) commitTo(state, id, files, branch)
  commits.push({ repo: id, branch, pullRequest, title: summary, files })
  return {
    body: {
      success: true,
      commitOid: "c0ffee",
      commitUrl: `https://hub/${id}/commit/c0ffee`,
      ...(pullRequest ? { pullRequestUrl: `https://hub/${id}/discussions/1` } : {})
    }
  }
}

const repoPath = /^(?:\/api\/models)?\/([^/]+\/[^/]+?)(?:\.git)?\/(\w+)(?:\/([^/]+))?(?:\/(.*))?$/

/** Handles the requests that name a repository: `/api/models/<id>/<action>/<revision>`. */
const handleRepo = (state: State, request: Request, partSize: number | undefined): Response => {
  const [, id = "", action, encoded, file] = repoPath.exec(request.url.pathname) ?? []
  const repo = state.repos.get(id)
  if (repo === undefined || action === undefined) return error(404, "Repository not found", "RepoNotFound")
  const revision = decodeURIComponent(encoded ?? "")
  switch (action) {
    case "revision":
      return info(id, repo, revision)
    case "branch":
      return createBranch(repo, revision, request)
    case "resolve":
      return resolveFile(repo, revision, file!)
    case "preupload":
      return repo.branches.has(revision) ? preupload(request) : revisionNotFound
    case "info":
      return uploadUrls(state, request, partSize)
    case "commit":
      return commit(state, id, revision, request)
    default:
      return error(404, `nothing at ${request.url.pathname}`)
  }
}

const handle = (state: State, request: Request, options: Options): Response => {
  if (request.url.pathname.startsWith("/storage/")) return handleStorage(state, request)
  if (request.headers.authorization !== `Bearer ${options.token ?? token}`) return error(401, "Invalid credentials")
  switch (request.url.pathname) {
    case "/api/whoami-v2":
      return { body: { auth: { type: "access_token" }, ...(options.account ?? ada) } }
    case "/api/repos/create":
      return createRepo(state, request)
    default:
      return handleRepo(state, request, options.partSize)
  }
}

const send = (response: ServerResponse, { body, headers, status = 200 }: Response): void => {
  if (typeof body === "string") response.writeHead(status, headers).end(body)
  else {
    response.writeHead(status, { "content-type": "application/json", "x-request-id": "hub-7", ...headers })
    response.end(JSON.stringify(body))
  }
}

/** Starts a hub. */
export const makeHub = (options: Options = {}) =>
  Effect.gen(function* () {
    const state: State = { repos: new Map(), blobs: new Map(), parts: new Map(), commits: [], requests: [] }
    const url = yield* stubServer((message, response) => {
      const method = message.method!
      const url = new URL(message.url!, "http://hub")
      state.requests.push(`${method} ${url.pathname}`)
      const fault = options.faultOf?.(method, url.pathname)
      if (fault === "hang") return
      if (fault === "reset") return void message.socket.destroy()
      void readBody(message).then((body) => {
        const { headers } = message
        // an error message that repeats the token, which must not reach the user
        if (typeof fault === "number") return send(response, error(fault, `no: ${headers.authorization}`))
        send(response, fault ?? handle(state, { method, url, headers, body }, options))
      })
    })
    return { url, state, repos: state.repos, commits: state.commits, requests: state.requests }
  })
