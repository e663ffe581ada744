/**
 * A fake Hugging Face hub with a storage host for its large files: repositories, branches, tags and commits, also those
 * that clients make, and what can go wrong with requests. It is an `HttpClient` that responds in the fiber of the caller, so that `TestClock` drives
 * the delays; `app` serves the same repositories over a socket, also to Python.
 *
 * ```ts
 * const hub = yield* FakeHub.make({
 *   repositories: { "org/model": { files: { "tokenizer.json": { content: "{}", large: true } } } },
 *   fault: ({ count, kind }) => (kind === "metadata" && count === 1 ? FakeHub.busy(2) : undefined)
 * })
 * yield* program.pipe(
 *   Effect.provide(Hub.layer({ cache, endpoint: hub.endpoint })),
 *   Effect.provide(hub.layer)
 * )
 * const requests = yield* hub.requests
 * ```
 *
 * @since 0.1.0
 */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as repositories from "./internal/hub/repositories.ts"
import {
  endpoint,
  type Fault,
  type FaultOf,
  handle,
  type Recorded,
  repositoryOf,
  type State
} from "./internal/hub/state.ts"
import type { Written } from "./internal/hub/writes.ts"
import * as transports from "./internal/hub/transports.ts"
import type { DurationInput } from "./internal/util/duration.ts"

export type { Fault, FaultOf, Recorded } from "./internal/hub/state.ts"
export type { Written } from "./internal/hub/writes.ts"

/**
 * The files of a commit by their paths. A large file is one in Git LFS: the hub redirects to the storage host for it.
 *
 * @since 0.1.0
 * @category models
 */
export type Files = {
  readonly [path: string]:
    | string
    | Uint8Array
    | { readonly content: string | Uint8Array; readonly large?: boolean | undefined }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Repository {
  /** the files of the branch `main` */
  readonly files: Files
  /** the files of further branches and tags, by their names */
  readonly revisions?: { readonly [name: string]: Files } | undefined
  /**
   * `private`: only requests with the token see it; `gated`: requests get the error `GatedRepo`, with the token as well.
   * `public` by default
   */
  readonly access?: "public" | "private" | "gated" | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** by their ids, such as `org/model`; those of data sets begin with `datasets/` */
  readonly repositories: { readonly [id: string]: Repository }
  /** the only valid token; `hf_fake` by default */
  readonly token?: Redacted.Redacted | undefined
  readonly fault?: FaultOf | undefined
  /** the owner of the token; the user `ada` by default, who is in the organization `team` */
  readonly account?:
    | {
        readonly type: "user" | "org"
        readonly name: string
        readonly orgs?: ReadonlyArray<{ readonly type: "org"; readonly name: string }>
      }
    | undefined
  /** the size of the parts in which large files are uploaded; in one piece if undefined */
  readonly partSize?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface FakeHub {
  readonly client: HttpClient.HttpClient
  readonly layer: Layer.Layer<HttpClient.HttpClient>
  /**
   * The hub and the storage host as an app for `HttpServer.serve`. At `127.0.0.1` it is the hub, and `localhost` with the
   * same port is the storage host, or the other way round.
   */
  readonly app: HttpApp.Default
  /** the URL of the hub for the client, `https://hub.test` */
  readonly endpoint: string
  readonly token: Redacted.Redacted
  /** in the order in which they arrived */
  readonly requests: Effect.Effect<ReadonlyArray<Recorded>>
  readonly clearRequests: Effect.Effect<void>
  /** replaces the faults */
  readonly setFault: (fault: FaultOf | undefined) => Effect.Effect<void>
  /** makes the files the newest commit of a branch or tag, `main` by default; succeeds with the commit */
  readonly push: (repo: string, files: Files, revision?: string) => Effect.Effect<string>
  /** the commit of a branch or tag, `main` by default */
  readonly commitOf: (repo: string, revision?: string) => Effect.Effect<string>
  /** adds a repository; replaces one with this id */
  readonly create: (repo: string, repository: Repository) => Effect.Effect<void>
  /** the files of a branch, tag or commit, `main` by default; undefined if there is none */
  readonly filesAt: (
    repo: string,
    revision?: string
  ) => Effect.Effect<{ readonly [path: string]: Uint8Array } | undefined>
  /** who may see a repository; undefined if there is none */
  readonly accessOf: (repo: string) => Effect.Effect<Repository["access"]>
  /** the commits that clients made, in their order */
  readonly written: Effect.Effect<ReadonlyArray<Written>>
  /** forgets the large files that clients uploaded */
  readonly forgetUploads: Effect.Effect<void>
}

/**
 * No response: the request waits until it is interrupted.
 *
 * @since 0.1.0
 * @category faults
 */
export const silence: Fault = { _tag: "Silence" }

/**
 * The response stops after so many bytes of its body, and the connection stays open.
 *
 * @since 0.1.0
 * @category faults
 */
export const silenceAfter = (bytes: number): Fault => ({ _tag: "SilenceAfter", bytes })

/**
 * The connection is lost before the response.
 *
 * @since 0.1.0
 * @category faults
 */
export const connectionLost: Fault = { _tag: "ConnectionLost" }

/**
 * The connection is lost after so many bytes of the body.
 *
 * @since 0.1.0
 * @category faults
 */
export const cutAfter = (bytes: number): Fault => ({ _tag: "CutAfter", bytes })

/**
 * The body ends after so many bytes, as if it were complete.
 *
 * @since 0.1.0
 * @category faults
 */
export const truncate = (bytes: number): Fault => ({ _tag: "Truncate", bytes })

/**
 * The last byte of the body is wrong.
 *
 * @since 0.1.0
 * @category faults
 */
export const corrupt: Fault = { _tag: "Corrupt" }

/**
 * The response comes late.
 *
 * @since 0.1.0
 * @category faults
 */
export const delay = (duration: DurationInput): Fault => ({ _tag: "Delay", duration })

/**
 * Another response, such as the one of a proxy.
 *
 * @since 0.1.0
 * @category faults
 */
export const respond = (status: number, headers: { readonly [name: string]: string } = {}, body = ""): Fault => ({
  _tag: "Respond",
  status,
  headers,
  body
})

/**
 * The hub limits the rate of requests (429), and asks to wait so many seconds.
 *
 * @since 0.1.0
 * @category faults
 */
export const busy = (retryAfter: number): Fault => respond(429, { "retry-after": String(retryAfter) })

/**
 * Something happens before the hub handles the request, such as the commit of somebody else; then the fault, if one is
 * given.
 *
 * @since 0.1.0
 * @category faults
 */
export const meanwhile = (effect: Effect.Effect<unknown>, fault?: Fault): Fault => ({
  _tag: "Meanwhile",
  effect,
  fault
})

const ada: Options["account"] = { type: "user", name: "ada", orgs: [{ type: "org", name: "team" }] }

const makeState = (options: Options): State => ({
  repositories: new Map(),
  token: options.token ?? Redacted.make("hf_fake"),
  account: options.account ?? ada,
  partSize: options.partSize,
  blobs: new Map(),
  parts: new Map(),
  written: [],
  recorded: [],
  counts: new Map(),
  fault: options.fault
})

const create = (state: State, id: string, { access, files, revisions = {} }: Repository) =>
  Effect.gen(function* () {
    state.repositories.delete(id)
    const repository = repositoryOf(state, id, access)
    yield* repositories.push(repository, "main", files)
    for (const [name, others] of Object.entries(revisions)) yield* repositories.push(repository, name, others)
  })

const filesAt = ({ repositories: all }: State, id: string, revision: string) => {
  const repository = all.get(id)
  const commit = repository === undefined ? undefined : repositories.resolve(repository, revision)
  if (repository === undefined || commit === undefined) return undefined
  return Object.fromEntries(Array.from(repository.commits.get(commit)!, ([path, { bytes }]) => [path, bytes]))
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<FakeHub> =>
  Effect.gen(function* () {
    const state = makeState(options)
    for (const [id, repository] of Object.entries(options.repositories)) yield* create(state, id, repository)
    const client = transports.client(handle(state))
    return {
      client,
      layer: Layer.succeed(HttpClient.HttpClient, client),
      app: transports.app(handle(state)),
      endpoint,
      token: state.token,
      requests: Effect.sync(() => state.recorded.slice()),
      clearRequests: Effect.sync(() => {
        state.recorded.length = 0
        state.counts.clear()
      }),
      setFault: (fault) => Effect.sync(() => void (state.fault = fault)),
      push: (repo, files, revision = "main") =>
        Effect.suspend(() => repositories.push(repositoryOf(state, repo), revision, files)),
      commitOf: (repo, revision = "main") =>
        Effect.sync(() => repositories.resolve(repositoryOf(state, repo), revision) ?? ""),
      create: (repo, repository) => create(state, repo, repository),
      filesAt: (repo, revision = "main") => Effect.sync(() => filesAt(state, repo, revision)),
      accessOf: (repo) => Effect.sync(() => state.repositories.get(repo)?.access),
      written: Effect.sync(() => state.written.slice()),
      forgetUploads: Effect.sync(() => state.blobs.clear())
    }
  })

/**
 * An `HttpClient` that reaches a fake hub at `https://hub.test`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<HttpClient.HttpClient> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(make(options), ({ client }) => client)
  )
