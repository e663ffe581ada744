/** The state of a fake hub: the received requests, its repositories and its faults. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as faults from "./faults.ts"
import { replyTo } from "./replies.ts"
import type * as repositories from "./repositories.ts"
import { type Kind, parse } from "./requests.ts"
import type * as transports from "./transports.ts"
import * as writes from "./writes.ts"

/**
 * A request that the hub or the storage host received.
 *
 * @since 0.1.0
 * @category models
 */
export interface Recorded {
  readonly method: string
  /** with the query */
  readonly url: string
  /**
   * `metadata` of a repository; a `file` of the hub; a large file of the `storage` host, or the `upload` of one; the
   * `account` of the token; `creation` of a repository or a `branch`; the steps of a commit: `preupload`, `batch`, `commit`
   */
  readonly kind: Kind
  /** the path of the file in its repository, or the SHA-256 of a large file */
  readonly file: string | undefined
  /** names in lower case */
  readonly headers: { readonly [name: string]: string | undefined }
  /** how many requests with this method and URL there have been, with this one */
  readonly count: number
}

/**
 * A fault of a response.
 *
 * @since 0.1.0
 * @category models
 */
export type Fault = faults.HubFault

/**
 * Decides which requests fail, and how.
 *
 * @since 0.1.0
 * @category models
 */
export type FaultOf = (request: Recorded) => Fault | undefined

/** What a hub has received, and its faults. @internal */
export interface State extends Omit<writes.State, "token"> {
  readonly token: Redacted.Redacted
  readonly recorded: Array<Recorded>
  readonly counts: Map<string, number>
  fault: FaultOf | undefined
}

/** @internal */
export const endpoint = "https://hub.test"

/** The storage host that belongs to the host of a request. */
const storageOf = ({ hostname, origin, port, protocol }: URL): string => {
  if (origin === endpoint) return "https://storage.test"
  const other = hostname === "localhost" ? "127.0.0.1" : "localhost"
  return `${protocol}//${other}:${port}`
}

const record = ({ counts, recorded }: State, incoming: transports.Incoming, kind: Kind, file: string | undefined) => {
  const { headers, method, url } = incoming
  const key = `${method} ${url.href}`
  const count = (counts.get(key) ?? 0) + 1
  counts.set(key, count)
  const entry: Recorded = { method, url: url.href, kind, file, headers: { ...headers }, count }
  recorded.push(entry)
  return entry
}

/** Handles a request: records it, and applies the fault to its response. @internal */
export const handle =
  (state: State): transports.Handle =>
  (incoming) =>
    Effect.suspend(() => {
      const { body, headers, method, url } = incoming
      const parsed = parse(url.pathname, method)
      const entry = record(state, incoming, parsed.kind, parsed.file)
      const at = { ...state, token: Redacted.value(state.token) }
      const asked = {
        parsed,
        authorization: headers["authorization"],
        range: headers["range"],
        storage: storageOf(url)
      }
      const respond = (bytes: Uint8Array) =>
        writes.isWrite(parsed)
          ? writes.replyTo(at, { ...asked, method, url, body: bytes })
          : Effect.sync(() => replyTo(at, asked))
      // the body is read also for requests without a response: a server notices the end of a client only then
      return Effect.flatMap(body, (bytes) => faults.apply(state.fault?.(entry), respond(bytes)))
    })

/** The repository with this id; a new one if there is none. @internal */
export const repositoryOf = (state: State, id: string, access: repositories.Access = "public") => {
  const existing = state.repositories.get(id)
  if (existing !== undefined) return existing
  const made: repositories.StoredRepository = { id, access, commits: new Map(), revisions: new Map() }
  state.repositories.set(id, made)
  return made
}
