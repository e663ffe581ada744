/** The repositories of a fake hub: files with their hashes, commits, branches and tags. */
import * as Effect from "effect/Effect"

/** @internal */
export interface FileContent {
  readonly content: string | Uint8Array
  readonly large?: boolean | undefined
}

/** @internal */
export type Files = { readonly [path: string]: string | Uint8Array | FileContent }

/** @internal */
export type Access = "public" | "private" | "gated"

/** A file with what the hub reports of it. @internal */
export interface StoredFile {
  readonly bytes: Uint8Array
  /** the id that git gives to the content */
  readonly blobId: string
  readonly sha256: string
  /** whether it is on the storage host */
  readonly large: boolean
}

/** @internal */
export type StoredFiles = ReadonlyMap<string, StoredFile>

/** @internal */
export interface StoredRepository {
  readonly id: string
  readonly access: Access
  readonly commits: Map<string, StoredFiles>
  /** commits by branch or tag */
  readonly revisions: Map<string, string>
}

const utf8 = new TextEncoder()

/** @internal */
export const digest = (algorithm: "SHA-1" | "SHA-256", ...parts: ReadonlyArray<Uint8Array>): Effect.Effect<string> =>
  Effect.promise(async () => {
    const bytes = new Uint8Array(await new Blob(parts as Array<Uint8Array<ArrayBuffer>>).arrayBuffer())
    const hash = new Uint8Array(await crypto.subtle.digest(algorithm, bytes))
    return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("")
  })

const storeFile = (file: string | Uint8Array | FileContent): Effect.Effect<StoredFile> =>
  Effect.gen(function* () {
    const { content, large = false } = typeof file === "string" || file instanceof Uint8Array ? { content: file } : file
    const bytes = typeof content === "string" ? utf8.encode(content) : content
    return {
      bytes,
      blobId: yield* digest("SHA-1", utf8.encode(`blob ${bytes.length}\0`), bytes),
      sha256: yield* digest("SHA-256", bytes),
      large
    }
  })

/** Makes the files the newest commit of a branch or tag. Succeeds with the commit. @internal */
export const push = (repository: StoredRepository, revision: string, files: Files): Effect.Effect<string> =>
  Effect.gen(function* () {
    const stored = new Map<string, StoredFile>()
    for (const [path, file] of Object.entries(files)) stored.set(path, yield* storeFile(file))
    const content = Array.from(stored, ([path, { blobId }]) => `${path} ${blobId}`)
    const description = [repository.id, revision, repository.revisions.get(revision) ?? "", ...content].join("\n")
    const commit = yield* digest("SHA-1", utf8.encode(description))
    repository.commits.set(commit, stored)
    repository.revisions.set(revision, commit)
    return commit
  })

/** The commit of a branch, tag or commit, or of `HEAD`. @internal */
export const resolve = ({ commits, revisions }: StoredRepository, revision: string): string | undefined =>
  revisions.get(revision === "HEAD" ? "main" : revision) ?? (commits.has(revision) ? revision : undefined)

/** A large file of any repository by its SHA-256. @internal */
export const findLarge = (repositories: Iterable<StoredRepository>, sha256: string): StoredFile | undefined => {
  for (const { commits } of repositories) {
    for (const files of commits.values()) {
      for (const file of files.values()) if (file.large && file.sha256 === sha256) return file
    }
  }
  return undefined
}
