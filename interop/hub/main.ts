/** Runs Python's huggingface_hub of the day and `Hub` on the same caches, in both directions, against a fake hub. */
import * as FakeHub from "@effect-tinker/testing/FakeHub"
import * as Hub from "@effect-tinker/tokenizers/Hub"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Command from "@effect/platform/Command"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as HttpServer from "@effect/platform/HttpServer"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as assert from "node:assert/strict"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { inEnvironment, prepare } from "../python.ts"

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const environment = path(".venv")

const repo = "org/model"
const tokenizer = `{"model": ${JSON.stringify("ü".repeat(100_000))}}`
const files: FakeHub.Files = {
  ".gitattributes": "*.safetensors filter=lfs",
  "config.json": "{}",
  "tokenizer_config.json": "{}",
  "chat_template.jinja": "{{ messages }}",
  "tokenizer.json": { content: tokenizer, large: true },
  "model.safetensors": { content: "weights", large: true }
}
const present = ["tokenizer_config.json", "chat_template.jinja", "tokenizer.json"]
const absent = ["special_tokens_map.json", "chat_template.json"]

/** What ask.py finds in a cache. */
interface Scan {
  readonly warnings: ReadonlyArray<string>
  readonly repos: ReadonlyArray<string>
  readonly refs: ReadonlyArray<string>
}

/** A cache of its own, and both libraries on it. */
interface Shared {
  readonly cache: string
  readonly hub: FakeHub.FakeHub
  /** calls a function of ask.py */
  readonly python: <A>(name: string, ...args: ReadonlyArray<unknown>) => Effect.Effect<A>
  readonly tokenizerFiles: (ref: Hub.Ref, options?: Partial<Hub.Options>) => Effect.Effect<Hub.Snapshot, Hub.HubError>
}

const ask = <A>(env: Record<string, string>, name: string, args: ReadonlyArray<unknown>) =>
  Command.make(inEnvironment(environment, "python"), path("ask.py"), name, JSON.stringify(args)).pipe(
    Command.env({ HF_HUB_DISABLE_TELEMETRY: "1", HF_HUB_DISABLE_UPDATE_CHECK: "1", ...env }),
    Command.stderr("inherit"),
    Command.string,
    Effect.flatMap((text) => Effect.try(() => JSON.parse(text) as A)),
    Effect.orDie,
    Effect.provide(NodeContext.layer)
  )

const share = (hub: FakeHub.FakeHub, port: number) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const home = yield* fs.makeTempDirectoryScoped({ prefix: "interop-hub-" })
    const cache = `${home}/hub`
    const endpoint = `http://127.0.0.1:${port}`
    const shared: Shared = {
      cache,
      hub,
      python: (name, ...args) => ask({ HF_HOME: home, HF_ENDPOINT: endpoint }, name, args),
      tokenizerFiles: (ref, options) =>
        Effect.flatMap(Hub.Hub, (service) => service.tokenizerFiles(ref)).pipe(
          Effect.provide(Hub.layer({ cache, endpoint, ...options })),
          Effect.provide([FetchHttpClient.layer, NodeContext.layer])
        )
    }
    return shared
  })

const offline = { offline: true }

const expectContent = (directory: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    assert.equal(yield* fs.readFileString(`${directory}/tokenizer.json`), tokenizer)
    assert.equal(yield* fs.readFileString(`${directory}/chat_template.jinja`), "{{ messages }}")
  })

/** The methods and kinds of the requests since the last call. */
const requestsOf = (hub: FakeHub.FakeHub) =>
  Effect.tap(
    Effect.map(hub.requests, (requests) => requests.map(({ kind, method }) => `${method} ${kind}`)),
    () => hub.clearRequests
  )

const pythonReadsOurs = (revision: string) => (shared: Shared) =>
  Effect.gen(function* () {
    const { cache, hub, python, tokenizerFiles } = shared
    const { commit, directory } = yield* tokenizerFiles({ repo, revision })
    yield* hub.clearRequests
    const expected = present.map((name) => `${directory}/${name}`)
    assert.deepEqual(yield* python<ReadonlyArray<string>>("download", repo, revision, present, true), expected)
    assert.deepEqual(yield* python<ReadonlyArray<string>>("download", repo, commit, present, true), expected)
    assert.deepEqual(yield* python("cached", repo, revision, [...present, ...absent, "config.json"]), [
      ...expected,
      ...absent.map(() => "absent"),
      null
    ])
    assert.deepEqual(yield* requestsOf(hub), [])
    assert.deepEqual(yield* python<ReadonlyArray<string>>("download", repo, revision, present, false), expected)
    assert.ok((yield* requestsOf(hub)).every((request) => request === "HEAD file"))
    const { refs, repos, warnings } = yield* python<Scan>("scan")
    assert.deepEqual([warnings, repos, refs], [[], [repo], [revision]])
    assert.equal(directory, `${cache}/models--org--model/snapshots/${commit}`)
  })

const weReadPythons = (revision: string) => (shared: Shared) =>
  Effect.gen(function* () {
    const { hub, python, tokenizerFiles } = shared
    const directory = yield* python<string>("snapshot", repo, revision, null, false)
    yield* hub.clearRequests
    const read = yield* tokenizerFiles({ repo, revision }, offline)
    assert.equal(read.directory, directory)
    yield* expectContent(directory)
    // Python has listed all files of the commit, so nothing is left to ask.
    assert.deepEqual(yield* tokenizerFiles({ repo, revision: read.commit }), read)
    assert.deepEqual(yield* requestsOf(hub), [])
    assert.deepEqual(yield* tokenizerFiles({ repo, revision }), read)
    assert.deepEqual(yield* requestsOf(hub), ["GET metadata"])
  })

const weCompletePythons = ({ hub, python, tokenizerFiles }: Shared) =>
  Effect.gen(function* () {
    yield* python<ReadonlyArray<string>>("download", repo, "main", ["tokenizer.json"], false)
    const missing = yield* Effect.flip(tokenizerFiles({ repo }, offline))
    assert.equal(missing.reason, "NotCached")
    yield* hub.clearRequests
    const { commit, directory } = yield* tokenizerFiles({ repo, revision: yield* hub.commitOf(repo) })
    yield* expectContent(directory)
    assert.ok(!(yield* requestsOf(hub)).includes("GET storage"))
    assert.deepEqual(yield* tokenizerFiles({ repo }, offline), { commit, directory })
    assert.equal((yield* python<ReadonlyArray<string>>("download", repo, "main", present, true)).length, present.length)
  })

const weBelieveItsMarkers = ({ hub, python, tokenizerFiles }: Shared) =>
  Effect.gen(function* () {
    yield* python<ReadonlyArray<string>>("download", repo, "main", present, false)
    for (const name of absent) assert.match(yield* python<string>("missing", repo, "main", name), /EntryNotFound/)
    yield* hub.clearRequests
    yield* tokenizerFiles({ repo, revision: yield* hub.commitOf(repo) })
    assert.deepEqual(yield* requestsOf(hub), [])
  })

const bothFollowABranch = ({ hub, python, tokenizerFiles }: Shared) =>
  Effect.gen(function* () {
    const first = yield* tokenizerFiles({ repo })
    const commit = yield* hub.push(repo, { ...files, "tokenizer_config.json": '{"new": true}' })
    const [file] = yield* python<ReadonlyArray<string>>("download", repo, "main", ["tokenizer_config.json"], false)
    assert.ok(file?.includes(commit))
    assert.notEqual(first.commit, commit)
    assert.equal((yield* tokenizerFiles({ repo })).commit, commit)
    assert.equal((yield* python<ReadonlyArray<string>>("download", repo, "main", present, true)).length, present.length)
  })

const environments: ReadonlyArray<Record<string, string>> = [
  {},
  { HF_HOME: "~/hf" },
  { HF_HOME: "$HOME/x" },
  { XDG_CACHE_HOME: "~/xdg" },
  { HUGGINGFACE_HUB_CACHE: "/old" },
  { HUGGINGFACE_HUB_CACHE: "/old", HF_HUB_CACHE: "/new" },
  { TRANSFORMERS_OFFLINE: "1" },
  { TRANSFORMERS_OFFLINE: "yes", HF_HUB_OFFLINE: "0" },
  { HF_HUB_OFFLINE: "TRUE" },
  { HF_TOKEN_PATH: "~/other" },
  { HF_TOKEN_PATH: "~/other", HF_TOKEN: " hf_given\n" },
  { HF_ENDPOINT: "https://mirror.example/" }
]

/** Both read the same settings from the same environment. */
const settingsAgree = ({ cache }: Shared) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const home = `${cache}-home`
    yield* fs.makeDirectory(`${home}/.cache/huggingface`, { recursive: true })
    yield* fs.writeFileString(`${home}/.cache/huggingface/token`, "hf_saved\n")
    yield* fs.writeFileString(`${home}/other`, "hf_other")
    for (const env of environments) {
      const all = { HOME: home, HF_HOME: "", HF_HUB_CACHE: "", ...env }
      const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ""))
      const ours = yield* Hub.fromConfig().pipe(
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(given)))),
        Effect.orDie
      )
      const { token, ...others } = ours
      const named = {
        ...others,
        endpoint: ours.endpoint ?? "https://huggingface.co",
        token: token === undefined ? null : Redacted.value(token)
      }
      assert.deepEqual(named, yield* ask(given, "settings", []), JSON.stringify(env))
    }
  })

const steps: ReadonlyArray<
  readonly [title: string, run: (shared: Shared) => Effect.Effect<unknown, unknown, FileSystem.FileSystem | Path.Path>]
> = [
  ["Python reads our cache", pythonReadsOurs("main")],
  ["Python reads our cache of a branch feature/x+y", pythonReadsOurs("feature/x+y")],
  ["we read a snapshot of Python", weReadPythons("main")],
  ["we read a snapshot of Python, of a branch feature/x+y", weReadPythons("feature/x+y")],
  ["we complete what Python stored in part", weCompletePythons],
  ["we believe what Python marked as absent", weBelieveItsMarkers],
  ["both follow a branch that moves", bothFollowABranch],
  ["both read the same settings", settingsAgree]
]

/** Runs one step with a hub and a cache of its own. Succeeds with whether it passed. */
const runStep = ([title, run]: (typeof steps)[number]) =>
  Effect.gen(function* () {
    const hub = yield* FakeHub.make({ repositories: { [repo]: { files, revisions: { "feature/x+y": files } } } })
    const server = NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })
    const context = yield* Layer.build(Layer.provideMerge(HttpServer.serve(hub.app), server))
    const port = yield* Effect.provide(
      HttpServer.addressWith((address) => Effect.succeed(address._tag === "TcpAddress" ? address.port : 0)),
      context
    )
    yield* run(yield* share(hub, port))
    yield* Console.log(`ok      ${title}`)
    return true
  }).pipe(
    Effect.scoped,
    Effect.catchAllCause((cause) => Effect.as(Console.log(`FAILED  ${title}: ${cause}`), false))
  )

export const main = Effect.gen(function* () {
  const reason = yield* prepare(environment, "huggingface_hub", ["--upgrade", "huggingface_hub"])
  if (reason !== undefined) return yield* Console.log(`skipped: ${reason}`)
  yield* Console.log(`huggingface_hub ${yield* ask({}, "version", [])}`)
  const passed = yield* Effect.forEach(steps, runStep)
  yield* Console.log(`${passed.filter(Boolean).length} of ${steps.length} steps passed`)
  if (!passed.every(Boolean)) process.exitCode = 1
}).pipe(Effect.provide(NodeContext.layer))
