/** The Hugging Face hub in memory, as far as uploads need it. */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import { stubServer } from "./fixtures.ts"

export const token = "hf_secretOfTheTests"

export interface Commit {
  readonly branch: string
  readonly pullRequest: boolean
  readonly title: string
  readonly files: { readonly [path: string]: string }
}

interface Repo {
  readonly visibility: string
  /** The files of each branch, by their paths. */
  readonly branches: Map<string, Record<string, string>>
}

interface State {
  readonly repos: Map<string, Repo>
  /** Large files, by their SHA-256. */
  readonly blobs: Map<string, Buffer>
  readonly commits: Array<Commit>
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

const error = (status: number, message: string): Response => ({ status, body: { error: message } })

const readBody = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** Stores a large file. The storage is another server, and must not receive the token. */
const putBlob = ({ blobs }: State, sha256: string, { body, headers }: Request): Response => {
  if (headers.authorization !== undefined) return error(400, "the token was sent")
  if (createHash("sha256").update(body).digest("hex") !== sha256) return error(400, "corrupt")
  blobs.set(sha256, body)
  return { body: {} }
}

const createRepo = ({ repos }: State, { body }: Request): Response => {
  const { name, organization, private: isPrivate, visibility } = JSON.parse(String(body))
  const id = `${organization ?? "ada"}/${name}`
  if (repos.has(id)) return error(409, "You already created this model repo")
  repos.set(id, {
    visibility: visibility ?? (isPrivate ? "private" : "public"),
    branches: new Map([["main", {}]])
  })
  return { body: { url: `https://hub/${id}`, id } }
}

/** The content of a small file. */
const resolveFile = (repo: Repo, path: string, method: string): Response => {
  const [branch, file] = path.split("/") as [string, string]
  const text = repo.branches.get(branch)?.[file]
  if (text === undefined) {
    return { status: 404, headers: { "x-error-code": "EntryNotFound" }, body: { error: "Entry not found" } }
  }
  const headers = { etag: '"x"', "content-range": `bytes 0-0/${text.length}`, "content-length": text.length }
  return { headers, body: method === "HEAD" ? "" : text }
}

const preupload = ({ body }: Request): Response => {
  const { files } = JSON.parse(String(body)) as { files: Array<{ path: string }> }
  return {
    body: {
      files: files.map(({ path }) => ({ path, uploadMode: path.endsWith(".safetensors") ? "lfs" : "regular" }))
    }
  }
}

/** Where to upload large files. */
const uploadUrls = ({ body, headers }: Request): Response => {
  const { objects } = JSON.parse(String(body)) as { objects: Array<{ oid: string; size: number }> }
  const href = (oid: string) => `http://${headers.host}/storage/${oid}`
  return {
    body: {
      transfer: "basic",
      objects: objects.map(({ oid, size }) => ({ oid, size, actions: { upload: { href: href(oid) } } }))
    }
  }
}

const commit = ({ blobs, commits }: State, repo: Repo, id: string, branch: string, request: Request): Response => {
  const lines = String(request.body)
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
  const files: Record<string, string> = {}
  for (const { key, value } of lines) {
    if (key === "file") files[value.path] = String(Buffer.from(value.content, value.encoding))
    if (key === "lfsFile") files[value.path] = `${blobs.get(value.oid)?.length} bytes`
  }
  const pullRequest = request.url.searchParams.get("create_pr") === "1"
  if (!pullRequest) Object.assign(repo.branches.get(branch)!, files)
  commits.push({ branch, pullRequest, title: lines[0].value.summary, files })
  return {
    body: {
      success: true,
      commitOid: "c0ffee",
      commitUrl: `https://hub/${id}/commit/c0ffee`,
      ...(pullRequest ? { pullRequestUrl: `https://hub/${id}/discussions/1` } : {})
    }
  }
}

const repoPath = /^(?:\/api\/models)?\/([^/]+\/[^/.]+|[^/]+\/[^/]+?(?=\.git))(?:\.git)?\/([^/]+)(?:\/(.*))?$/

/** Handles the requests that name a repository: `/api/models/<id>/<action>/<name>`. */
const handleRepo = (state: State, request: Request): Response => {
  const [, id = "", action, rest] = repoPath.exec(request.url.pathname) ?? []
  const repo = state.repos.get(id)
  if (repo === undefined || action === undefined) return error(404, "Repository not found")
  const name = decodeURIComponent(rest ?? "")
  switch (action) {
    case "revision":
      return repo.branches.has(name.split("/")[0]!) ? { body: { id } } : error(404, "Revision not found")
    case "branch":
      repo.branches.set(name, { ...repo.branches.get("main") })
      return { body: {} }
    case "resolve":
      return resolveFile(repo, name, request.method)
    case "preupload":
      return preupload(request)
    case "info":
      return uploadUrls(request)
    case "commit":
      return commit(state, repo, id, name, request)
    default:
      return error(404, `nothing at ${request.url.pathname}`)
  }
}

const handle = (state: State, request: Request): Response => {
  const upload = /^\/storage\/(\w+)$/.exec(request.url.pathname)
  if (upload !== null) return putBlob(state, upload[1]!, request)
  if (request.headers.authorization !== `Bearer ${token}`) return error(401, "unauthorized")
  switch (request.url.pathname) {
    case "/api/whoami-v2":
      return { body: { type: "user", name: "ada", auth: { type: "access_token", accessToken: { role: "write" } } } }
    case "/api/repos/create":
      return createRepo(state, request)
    default:
      return handleRepo(state, request)
  }
}

const send = (response: ServerResponse, { body, headers, status = 200 }: Response): void => {
  if (typeof body === "string") response.writeHead(status, headers).end(body)
  else {
    response.writeHead(status, { "content-type": "application/json", "x-request-id": "hub-7", ...headers })
    response.end(JSON.stringify(body))
  }
}

/** A request that fails with a status, or that never gets a response. */
type Fault = number | "hang" | undefined

/** Starts a hub. `faultOf` chooses the requests that fail. */
export const makeHub = (faultOf: (method: string, path: string) => Fault = () => undefined) =>
  Effect.gen(function* () {
    const state: State = { repos: new Map(), blobs: new Map(), commits: [] }
    const url = yield* stubServer((message, response) => {
      const method = message.method!
      const url = new URL(message.url!, "http://hub")
      const fault = faultOf(method, url.pathname)
      if (fault === "hang") return
      void readBody(message).then((body) => {
        const { headers } = message
        // an error message that repeats the token, which must not reach the user
        if (fault !== undefined) return send(response, error(fault, `no: ${headers.authorization}`))
        send(response, handle(state, { method, url, headers, body }))
      })
    })
    return { url, repos: state.repos, commits: state.commits }
  })
