/** What a fake hub does when repositories change: creation, branches, commits, and uploads of large files. */
import * as Effect from "effect/Effect"
import { type Asked, error, json, rejection, type Reply, reply } from "./replies.ts"
import * as repositories from "./repositories.ts"
import { type Parsed, storagePath } from "./requests.ts"

/**
 * A commit that a client made.
 *
 * @since 0.1.0
 * @category models
 */
export interface Written {
  readonly repo: string
  readonly branch: string
  readonly title: string
  /** a pull request does not change the branch */
  readonly isPullRequest: boolean
  /** the files that it added or changed, by their paths */
  readonly files: { readonly [path: string]: Uint8Array }
}

/** @internal */
export interface State {
  readonly repositories: Map<string, repositories.StoredRepository>
  readonly token: string
  /** what the hub says about the owner of the token */
  readonly account: unknown
  /** the size of the parts in which large files are uploaded; in one piece if undefined */
  readonly partSize: number | undefined
  /** the large files that were uploaded, by their SHA-256 */
  readonly blobs: Map<string, Uint8Array>
  /** the parts of large files that are not complete */
  readonly parts: Map<string, Map<number, Uint8Array>>
  readonly written: Array<Written>
}

interface Request extends Asked {
  readonly method: string
  readonly url: URL
  readonly body: Uint8Array
}

const decode = (body: Uint8Array): string => new TextDecoder().decode(body)

const ownerOf = ({ account }: State): string => (account as { readonly name: string }).name

const create = (state: State, { body }: Request) =>
  Effect.gen(function* () {
    const { name, organization = ownerOf(state), private: isPrivate, visibility } = JSON.parse(decode(body))
    const id = `${organization}/${name}`
    if (state.repositories.has(id)) return error(409, undefined, "You already created this model repo")
    const access = (visibility ?? (isPrivate === true ? "private" : "public")) === "private" ? "private" : "public"
    const made: repositories.StoredRepository = { id, access, commits: new Map(), revisions: new Map() }
    state.repositories.set(id, made)
    yield* repositories.push(made, "main", {})
    return json({ url: `https://hub.test/${id}`, id })
  })

/** The files at a commit, in the form in which they are pushed. */
const filesOf = (repository: repositories.StoredRepository, commit: string): repositories.Files =>
  Object.fromEntries(
    Array.from(repository.commits.get(commit)!, ([path, { bytes, large }]) => [path, { content: bytes, large }])
  )

const createBranch = (repository: repositories.StoredRepository, branch: string, { body }: Request) =>
  Effect.gen(function* () {
    if (repository.revisions.has(branch)) return error(409, undefined, "Reference already exists")
    const { emptyBranch, startingPoint = "main" } = JSON.parse(decode(body) || "{}")
    const start = repositories.resolve(repository, startingPoint)
    if (start === undefined) return error(404, "RevisionNotFound", "Invalid rev id")
    if (emptyBranch === true) yield* repositories.push(repository, branch, {})
    else repository.revisions.set(branch, start)
    return json({})
  })

/** Weights are large; so is what exceeds 10 MB. */
const preupload = ({ body }: Request): Reply => {
  const { files } = JSON.parse(decode(body)) as { files: Array<{ path: string; size: number }> }
  const isLarge = (path: string, size: number) => /\.(?:safetensors|bin)$/.test(path) || size > 10_000_000
  return json({
    files: files.map(({ path, size }) => ({ path, uploadMode: isLarge(path, size) ? "lfs" : "regular" }))
  })
}

/** Where to upload a large file. */
const uploadOf = ({ partSize }: State, storage: string, oid: string, size: number) => {
  const href = `${storage}${storagePath}${oid}`
  if (partSize === undefined) return { href: `${href}?signature=fake` }
  const parts = Array.from({ length: Math.ceil(size / partSize) }, (_, i) => [
    String(i + 1).padStart(5, "0"),
    `${href}/${i + 1}?signature=fake`
  ])
  return { href, header: { chunk_size: String(partSize), ...Object.fromEntries(parts) } }
}

/** Where to upload large files. There is nothing to do for those that the hub has. */
const batch = (state: State, { body, storage }: Request): Reply => {
  const { objects } = JSON.parse(decode(body)) as { objects: Array<{ oid: string; size: number }> }
  return json({
    transfer: state.partSize === undefined ? "basic" : "multipart",
    objects: objects.map(({ oid, size }) => ({
      oid,
      size,
      ...(state.blobs.has(oid) ? {} : { actions: { upload: uploadOf(state, storage, oid, size) } })
    }))
  })
}

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** The storage host takes a large file, a part of one, or the end of the last part. */
const upload = ({ blobs, parts }: State, { authorization, body, method, parsed }: Request) =>
  Effect.gen(function* () {
    if (authorization !== undefined) return reply(400, {}, "the token was sent to the storage host")
    const { file: oid = "", part } = parsed
    if (part !== undefined) {
      parts.set(oid, (parts.get(oid) ?? new Map<number, Uint8Array>()).set(part, body))
      return reply(200, { etag: `"${oid}-${part}"` })
    }
    const sorted = [...(parts.get(oid) ?? [])].sort(([a], [b]) => a - b).map(([, bytes]) => bytes)
    const bytes = method === "PUT" ? body : concat(sorted)
    if ((yield* repositories.digest("SHA-256", bytes)) !== oid) return reply(400, {}, "not the file of this hash")
    blobs.set(oid, bytes)
    parts.delete(oid)
    return json({})
  })

const bytesOf = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))

/** A change in a commit: the content of a small file in base64, or the hash of a large one. */
interface Change {
  readonly key: string
  readonly value: { readonly path: string; readonly content: string; readonly oid: string }
}

/** The files of a commit; undefined if a large one was not uploaded. */
const changesOf = ({ blobs }: State, lines: ReadonlyArray<Change>) => {
  const files: Record<string, repositories.FileContent> = {}
  for (const { key, value } of lines) {
    const content = key === "lfsFile" ? blobs.get(value.oid) : bytesOf(value.content)
    if (content === undefined) return undefined
    files[value.path] = { content, large: key === "lfsFile" }
  }
  return files
}

const commit = (state: State, repository: repositories.StoredRepository, branch: string, { body, url }: Request) =>
  Effect.gen(function* () {
    const [header, ...lines] = decode(body)
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
    const { parentCommit, summary } = header.value
    const head = repository.revisions.get(branch)
    if (head === undefined) return error(404, "RevisionNotFound", "Invalid rev id")
    if (parentCommit !== undefined && parentCommit !== head) return error(412, undefined, "A commit has happened since")
    const changes = changesOf(state, lines)
    if (changes === undefined) return error(400, undefined, "A large file was not uploaded")
    const isPullRequest = url.searchParams.get("create_pr") === "1"
    const files = Object.fromEntries(
      Object.entries(changes).map(([path, { content }]) => [path, content as Uint8Array])
    )
    state.written.push({ repo: repository.id, branch, title: summary, isPullRequest, files })
    const oid = isPullRequest
      ? head
      : yield* repositories.push(repository, branch, { ...filesOf(repository, head), ...changes })
    const at = `https://hub.test/${repository.id}`
    return json({
      success: true,
      commitOid: oid,
      commitUrl: `${at}/commit/${oid}`,
      ...(isPullRequest ? { pullRequestUrl: `${at}/discussions/1` } : {})
    })
  })

const kinds = ["account", "creation", "branch", "preupload", "batch", "commit", "upload"]

/** @internal */
export const isWrite = ({ kind }: Parsed): boolean => kinds.includes(kind)

/** Only the owner of the token may change anything. */
const replyToOwner = (state: State, request: Request): Effect.Effect<Reply> => {
  const { kind, repo, revision = "main" } = request.parsed
  if (kind === "account") return Effect.succeed(json({ auth: { type: "access_token" }, ...(state.account as object) }))
  if (kind === "creation") return create(state, request)
  const repository = state.repositories.get(repo!)
  const rejected = rejection(state, repository, request.authorization)
  if (rejected !== undefined || repository === undefined) return Effect.succeed(rejected!)
  if (kind === "branch") return createBranch(repository, revision, request)
  if (kind === "batch") return Effect.sync(() => batch(state, request))
  if (kind === "commit") return commit(state, repository, revision, request)
  return Effect.succeed(
    repository.revisions.has(revision) ? preupload(request) : error(404, "RevisionNotFound", "Invalid rev id")
  )
}

/** The response to a request that changes something, or that prepares a change. @internal */
export const replyTo = (state: State, request: Request): Effect.Effect<Reply> => {
  if (request.parsed.kind === "upload") return upload(state, request)
  return request.authorization === `Bearer ${state.token}`
    ? replyToOwner(state, request)
    : Effect.succeed(error(401, undefined, "Invalid credentials in Authorization header"))
}
