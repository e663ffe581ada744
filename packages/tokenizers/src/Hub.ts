/**
 * The Hugging Face hub: files of model repositories, kept in the same cache on disk that the Python libraries use, so that
 * what either has fetched serves both.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Path from "@effect/platform/Path"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as hashes from "./internal/hashes.ts"
import * as shared from "./internal/shared.ts"

/**
 * Files of a repository could not be had.
 *
 * - `Unauthorized`: the token is missing or not valid, or the repository does not exist
 * - `Gated`: the account has not been granted access to the repository
 * - `NotFound`: no such repository or revision
 * - `NotCached`: the hub is not to be asked, and the cache does not hold the files
 * - `Unreachable`: the hub did not answer, or with what is not an answer of a hub
 * - `Corrupt`: what arrived is not the file that the hub announced
 * - `Cache`: the cache on disk cannot be read or written
 *
 * @since 0.1.0
 * @category errors
 */
export class HubError extends Schema.TaggedError<HubError>("@effect-tinker/tokenizers/Hub/HubError")("HubError", {
  reason: Schema.Literal("Unauthorized", "Gated", "NotFound", "NotCached", "Unreachable", "Corrupt", "Cache"),
  repo: Schema.String,
  revision: Schema.String,
  /** what happened and what to do */
  detail: Schema.String,
  status: Schema.optionalWith(Schema.Number, { exact: true }),
  requestId: Schema.optionalWith(Schema.String, { exact: true }),
  cause: Schema.optionalWith(Schema.Defect, { exact: true })
}) {
  /** whether the same may succeed later */
  get isRetryable(): boolean {
    return this.reason === "Unreachable" || this.reason === "Corrupt"
  }
  override get message(): string {
    const request = this.requestId === undefined ? "" : ` (request ${this.requestId})`
    return `${this.repo} at ${this.revision}: ${this.detail}${request}`
  }
}

/**
 * A model repository, at a branch, tag or commit; `main` by default.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ref {
  readonly repo: string
  readonly revision?: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  /** holds the files, whole */
  readonly directory: string
  /** which the revision stood for, 40 hexadecimal digits */
  readonly commit: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * The files of a repository that make its tokenizer: fetched where the cache does not hold them. When the hub cannot be
   * reached, what the cache holds of the revision is taken, with a warning. All who ask at the same time share one
   * download.
   */
  readonly tokenizerFiles: (ref: Ref) => Effect.Effect<Snapshot, HubError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Hub extends Context.Tag("@effect-tinker/tokenizers/Hub")<Hub, Service>() {}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** the directory of the cache, such as `~/.cache/huggingface/hub` */
  readonly cache: string
  /** an account's token, for repositories that are private or gated; sent to the endpoint alone */
  readonly token?: Redacted.Redacted | undefined
  /** `https://huggingface.co` by default */
  readonly endpoint?: string | undefined
  /** take from the cache alone; false by default */
  readonly offline?: boolean | undefined
}

// of a repository, what a tokenizer is made of. The last one comes last: where it is, the others are
const wanted = [
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "chat_template.json",
  "tokenizer.json"
]

const Info = Schema.Struct({
  sha: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{40}$/)),
  siblings: Schema.Array(
    Schema.Struct({
      rfilename: Schema.String,
      blobId: Schema.optional(Schema.NullOr(Schema.String)),
      lfs: Schema.optional(
        Schema.NullOr(Schema.Struct({ sha256: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/)) }))
      )
    })
  )
})

const isTransient = (status: number) => status === 408 || status === 429 || status >= 500

const policy = (attempts: number) =>
  Schedule.exponential("500 millis", 2).pipe(Schedule.jittered, Schedule.intersect(Schedule.recurs(attempts - 1)))

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fn("Hub.make")(function* (options: Options) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const scope = yield* Effect.scope
  const endpoint = (options.endpoint ?? "https://huggingface.co").replace(/\/+$/, "")
  const once = shared.make<string, Snapshot, HubError>(scope)
  // neither our trace ids nor our spans are the hub's business
  const http = (yield* HttpClient.HttpClient).pipe(HttpClient.withTracerPropagation(false))

  const tokenizerFiles = (ref: Ref): Effect.Effect<Snapshot, HubError> => {
    const { repo } = ref
    const revision = ref.revision ?? "main"
    const fail = (reason: HubError["reason"], detail: string, more: Partial<HubError> = {}) =>
      new HubError({
        reason,
        repo,
        revision,
        detail,
        ...(more.status === undefined ? {} : { status: more.status }),
        ...(more.requestId === undefined ? {} : { requestId: more.requestId }),
        ...(more.cause === undefined ? {} : { cause: more.cause })
      })
    const page = `${endpoint}/${repo}`
    const home = path.join(options.cache, `models--${repo.replaceAll("/", "--")}`)
    const directoryOf = (commit: string) => path.join(home, "snapshots", commit)
    const onDisk = <A>(effect: Effect.Effect<A, { readonly message: string }>): Effect.Effect<A, HubError> =>
      Effect.mapError(effect, (cause) =>
        fail("Cache", `the cache at ${options.cache} cannot be used: ${cause.message}. Set HF_HUB_CACHE to another`, {
          cause
        })
      )

    const cached = Effect.gen(function* () {
      const held = /^[0-9a-f]{40}$/.test(revision)
        ? revision
        : (yield* Effect.orElseSucceed(fs.readFileString(path.join(home, "refs", revision)), () => "")).trim()
      if (!/^[0-9a-f]{40}$/.test(held)) return Option.none<Snapshot>()
      const whole = yield* Effect.orElseSucceed(fs.exists(path.join(directoryOf(held), "tokenizer.json")), () => false)
      return whole ? Option.some<Snapshot>({ commit: held, directory: directoryOf(held) }) : Option.none<Snapshot>()
    })

    const refused = (response: HttpClientResponse.HttpClientResponse): HubError => {
      const { status } = response
      const requestId = response.headers["x-request-id"]
      const more = { status, ...(requestId === undefined ? {} : { requestId }) }
      const code = response.headers["x-error-code"]
      if (code === "GatedRepo" || status === 403) {
        return fail("Gated", `access must be asked for at ${page}, then set HF_TOKEN to a token of that account`, more)
      }
      if (status === 401) {
        const token = options.token === undefined ? "set HF_TOKEN" : "check that HF_TOKEN is valid and may read it"
        return fail("Unauthorized", `it does not exist or is private: check the name, or ${token}`, more)
      }
      if (status === 404) return fail("NotFound", `there is no such repository or revision at ${page}`, more)
      return fail("Unreachable", `${endpoint} answered ${status}`, more)
    }

    // redirects lead to a storage elsewhere, which must not see the token
    const follow = (url: URL, hops: number): Effect.Effect<HttpClientResponse.HttpClientResponse, HubError> =>
      Effect.gen(function* () {
        const own = `${url.href}/`.startsWith(`${endpoint}/`)
        const request = HttpClientRequest.get(url).pipe(
          own && options.token !== undefined ? HttpClientRequest.bearerToken(options.token) : (request) => request
        )
        const response = yield* http.execute(request).pipe(
          Effect.timeoutFail({
            duration: "30 seconds",
            onTimeout: () => fail("Unreachable", `${url.origin} did not answer within 30 s`)
          }),
          Effect.catchTags({
            // without the request, which carries the token
            RequestError: (error) =>
              fail("Unreachable", `${url.origin} cannot be reached: ${reasonOf(error)}`, { cause: error.cause }),
            ResponseError: (error) => fail("Unreachable", `${url.origin} cannot be understood: ${reasonOf(error)}`)
          })
        )
        const location = response.headers["location"]
        if (response.status >= 300 && response.status < 400 && location !== undefined) {
          const next = yield* Effect.try({
            try: () => new URL(location, url),
            catch: () => fail("Unreachable", `${url.origin} redirects to what is not a URL`)
          })
          if (hops === 0) return yield* fail("Unreachable", `${endpoint} redirects again and again`)
          if (url.protocol === "https:" && next.protocol !== "https:") {
            return yield* fail("Unreachable", `${url.origin} redirects to ${next.origin}, which is not encrypted`)
          }
          return yield* follow(next, hops - 1)
        }
        return response.status === 200 ? response : yield* refused(response)
      })

    const get = <A>(
      url: string,
      attempts: number,
      read: (response: HttpClientResponse.HttpClientResponse) => Effect.Effect<A, HubError>
    ): Effect.Effect<A, HubError> =>
      follow(new URL(url), 5).pipe(
        Effect.flatMap(read),
        Effect.scoped,
        Effect.retry({
          schedule: policy(attempts),
          while: (error) =>
            error.reason === "Corrupt" || (error.reason === "Unreachable" && isTransient(error.status ?? 500))
        })
      )

    const cut = (error: { readonly message: string }) =>
      fail("Unreachable", `the answer of ${endpoint} broke off: ${error.message}`)

    const info = (attempts: number) =>
      get(`${endpoint}/api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`, attempts, (response) =>
        response.json.pipe(
          Effect.flatMap(Schema.decodeUnknown(Info)),
          Effect.mapError((cause) =>
            fail("Unreachable", `${endpoint} does not answer as a hub does: check HF_ENDPOINT`, { status: 200, cause })
          )
        )
      )

    // whole or not at all: a reader never sees a file that is being written
    const write = (file: string, bytes: Uint8Array) =>
      Effect.gen(function* () {
        const suffix = (yield* Random.nextIntBetween(0, 2 ** 31)).toString(36)
        const draft = `${file}.${suffix}.incomplete`
        yield* fs.makeDirectory(path.dirname(file), { recursive: true })
        yield* fs.writeFile(draft, bytes).pipe(
          Effect.zipRight(fs.rename(draft, file)),
          Effect.onError(() => Effect.ignore(fs.remove(draft, { force: true })))
        )
      })

    const fetchFile = (commit: string, sibling: (typeof Info.Type)["siblings"][number]) =>
      Effect.gen(function* () {
        const target = path.join(directoryOf(commit), sibling.rfilename)
        if (yield* onDisk(fs.exists(target))) return
        const announced = sibling.lfs?.sha256 ?? sibling.blobId ?? undefined
        const url = `${endpoint}/${repo}/resolve/${commit}/${sibling.rfilename}`
        const [name, bytes] = yield* get(url, 5, (response) =>
          Effect.gen(function* () {
            const bytes = new Uint8Array(
              yield* response.arrayBuffer.pipe(
                Effect.mapError(cut),
                Effect.timeoutFail({
                  duration: "10 minutes",
                  onTimeout: () => fail("Unreachable", `${sibling.rfilename} did not arrive within 10 minutes`)
                })
              )
            )
            const name = yield* sibling.lfs == null ? hashes.gitBlob(bytes) : hashes.sha256(bytes)
            return announced === undefined || announced === name
              ? ([name, bytes] as const)
              : yield* fail("Corrupt", `${sibling.rfilename} arrived as something else than ${endpoint} announced`)
          })
        )
        const blob = path.join(home, "blobs", name)
        yield* onDisk(
          Effect.gen(function* () {
            if (!(yield* fs.exists(blob))) yield* write(blob, bytes)
            yield* fs.makeDirectory(path.dirname(target), { recursive: true })
            // another process may have been faster, and some file systems have no links
            yield* fs
              .symlink(path.join("..", "..", "blobs", name), target)
              .pipe(
                Effect.catchAll((error) =>
                  Effect.flatMap(fs.exists(target), (exists) => (exists ? Effect.void : write(target, bytes))).pipe(
                    Effect.mapError(() => error)
                  )
                )
              )
          })
        )
      })

    const download = (attempts: number) =>
      Effect.gen(function* () {
        const { sha, siblings } = yield* info(attempts)
        for (const name of wanted) {
          const sibling = siblings.find(({ rfilename }) => rfilename === name)
          if (sibling !== undefined) yield* fetchFile(sha, sibling)
        }
        if (revision !== sha) yield* onDisk(write(path.join(home, "refs", revision), new TextEncoder().encode(sha)))
        return { commit: sha, directory: directoryOf(sha) } satisfies Snapshot
      })

    const load = Effect.gen(function* () {
      if (!/^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/.test(repo) || repo.includes("..")) {
        return yield* fail("NotFound", "this is not the name of a repository, which reads organisation/model")
      }
      if (!/^[\w-][\w./-]*$/.test(revision) || revision.includes("..")) {
        return yield* fail("NotFound", "this is not the name of a branch, tag or commit")
      }
      const held = yield* cached
      // what a commit stands for never changes
      if (Option.isSome(held) && held.value.commit === revision) return held.value
      if (options.offline === true) {
        return yield* Option.match(held, {
          onNone: () =>
            fail("NotCached", `the cache at ${options.cache} does not hold it: unset HF_HUB_OFFLINE to fetch it once`),
          onSome: Effect.succeed
        })
      }
      if (Option.isNone(held)) return yield* download(5)
      // with something to fall back on, nobody has to wait for a hub that is away
      return yield* download(1).pipe(
        Effect.catchIf(
          (error) => error.reason === "Unreachable",
          (error) =>
            Effect.as(
              Effect.logWarning(`${error.message}. Going on with what the cache holds, commit ${held.value.commit}`),
              held.value
            )
        )
      )
    }).pipe(Effect.withSpan("Hub.tokenizerFiles", { attributes: { repo, revision } }))
    return once(`${repo}@${revision}`, load)
  }

  const service: Service = { tokenizerFiles }
  return service
})

// platform's own messages repeat the whole URL, which may be signed
const reasonOf = (error: { readonly reason: string; readonly cause?: unknown }): string => {
  const { cause } = error
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  return inner instanceof Error && inner.message !== "" ? inner.message : error.reason
}

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<Hub, never, FileSystem.FileSystem | Path.Path | HttpClient.HttpClient> =>
  Layer.scoped(Hub, make(options))

const setting = (name: string) => Config.option(Config.nonEmptyString(name))

const isOn = (value: Option.Option<string>): boolean =>
  Option.isSome(value) && ["1", "on", "yes", "true"].includes(value.value.toLowerCase())

/**
 * What the environment says, by the names that Hugging Face's own tools use: the cache by `HF_HUB_CACHE`, or below
 * `HF_HOME` (`~/.cache/huggingface` by default); the token by `HF_TOKEN`, or as `hf auth login` left it; `HF_ENDPOINT`;
 * `HF_HUB_OFFLINE`. Options given here win.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromConfig = Effect.fn("Hub.fromConfig")(function* (options: Partial<Options> = {}) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const env = yield* Config.all({
    hubCache: setting("HF_HUB_CACHE"),
    hfHome: setting("HF_HOME"),
    xdgCache: setting("XDG_CACHE_HOME"),
    home: setting("HOME"),
    profile: setting("USERPROFILE"),
    token: Config.option(Config.redacted("HF_TOKEN")),
    tokenPath: setting("HF_TOKEN_PATH"),
    endpoint: setting("HF_ENDPOINT"),
    offline: setting("HF_HUB_OFFLINE")
  })
  const home = Option.getOrElse(
    Option.orElse(env.home, () => env.profile),
    () => "."
  )
  const expand = (given: string) => given.replace(/^~(?=$|[\\/])/, () => home)
  const hfHome = Option.match(env.hfHome, {
    onNone: () =>
      path.join(Option.match(env.xdgCache, { onNone: () => path.join(home, ".cache"), onSome: expand }), "huggingface"),
    onSome: expand
  })
  const tokenFile = Option.match(env.tokenPath, { onNone: () => path.join(hfHome, "token"), onSome: expand })
  const held = yield* Option.match(
    Option.filter(env.token, (token) => Redacted.value(token).trim() !== ""),
    {
      onNone: () =>
        Effect.orElseSucceed(Effect.map(fs.readFileString(tokenFile), Redacted.make<string>), () => undefined),
      onSome: (token) => Effect.succeed(token)
    }
  )
  const token = held === undefined || Redacted.value(held).trim() === "" ? undefined : held
  const made: Options = {
    cache: options.cache ?? Option.match(env.hubCache, { onNone: () => path.join(hfHome, "hub"), onSome: expand }),
    token: options.token ?? (token === undefined ? undefined : Redacted.make(Redacted.value(token).trim())),
    endpoint: options.endpoint ?? Option.getOrUndefined(env.endpoint),
    offline: options.offline ?? isOn(env.offline)
  }
  return made
})

/**
 * The hub as the environment says.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options?: Partial<Options>
): Layer.Layer<Hub, ConfigError.ConfigError, FileSystem.FileSystem | Path.Path | HttpClient.HttpClient> =>
  Layer.scoped(Hub, Effect.flatMap(fromConfig(options), make))
