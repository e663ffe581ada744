/** The files of a model beside those of its tokenizer: its configuration and its weights. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Context, type Plan, provideFile } from "../hub/download.ts"
import { exists, mapDiskError } from "../hub/disk.ts"
import { type HubError, makeError, makeTarget, type Remote, type Snapshot, type Target } from "../hub/model.ts"
import { fetchInfo, type Info } from "../hub/repositoryInfo.ts"
import * as settings from "../hub/settings.ts"
import { tokenizerFiles } from "../hub/tokenizerFiles.ts"

const plan: Plan = {
  info: { attempts: 5, idleMillis: 10_000, duration: 60_000 },
  files: { attempts: 5, idleMillis: 30_000 }
}

const configFiles = ["config.json", "generation_config.json"]
const single = "model.safetensors"
const index = "model.safetensors.index.json"

const ShardIndex = Schema.parseJson(
  Schema.Struct({ weight_map: Schema.Record({ key: Schema.String, value: Schema.String }) })
)

/** The shards that the index of a snapshot names; none without an index. */
const shardsOf = (
  context: Context,
  target: Target,
  { directory }: Snapshot
): Effect.Effect<ReadonlyArray<string>, HubError> =>
  Effect.gen(function* () {
    const file = context.path.join(directory, index)
    if (!(yield* exists(context, file))) return []
    const text = yield* mapDiskError(target)(context.fs.readFileString(file))
    const { weight_map } = yield* Effect.mapError(Schema.decode(ShardIndex)(text), (cause) =>
      makeError(target, "Corrupt", `${index} has no weight_map`, { cause })
    )
    const shards = [...new Set(Object.values(weight_map))].sort()
    const foreign = shards.find((name) => !/^[\w.-]+\.safetensors$/.test(name))
    return foreign === undefined
      ? shards
      : yield* makeError(target, "Corrupt", `${index} names ${JSON.stringify(foreign)}, which is not a file beside it`)
  })

/** Whether a snapshot has all files of the model. A commit never changes. */
const isComplete = (context: Context, target: Target, snapshot: Snapshot): Effect.Effect<boolean, HubError> =>
  Effect.gen(function* () {
    const has = (name: string) => exists(context, context.path.join(snapshot.directory, name))
    if (!(yield* has("config.json"))) return false
    if (yield* has(single)) return true
    const shards = yield* shardsOf(context, target, snapshot)
    return shards.length > 0 && (yield* Effect.every(shards, has))
  })

/** Downloads files that the repository has, and says which. */
const provide = (context: Context, target: Remote, commit: string, { files }: Info, names: ReadonlyArray<string>) =>
  Effect.forEach(
    names,
    (name) =>
      Effect.gen(function* () {
        const info = files.get(name)
        if (info === undefined) return
        const size = info.size === undefined ? "" : ` (${(info.size / 1e6).toFixed(1)} MB)`
        if (name.endsWith(".safetensors")) yield* Effect.logInfo(`${target.repo}: fetching ${name}${size}`)
        yield* provideFile(context, target, commit, { name, info, limits: plan.files })
      }),
    { discard: true }
  )

const download = (context: Context, target: Remote, snapshot: Snapshot): Effect.Effect<void, HubError> =>
  Effect.gen(function* () {
    const info = yield* fetchInfo(context.http, target, plan.info)
    const missing = ["config.json", ...(info.files.has(single) || info.files.has(index) ? [] : [single])].filter(
      (name) => !info.files.has(name)
    )
    if (missing.length > 0) {
      return yield* makeError(
        target,
        "NotFound",
        `it has no ${missing.join(" and no ")}: only such models can be loaded`
      )
    }
    yield* provide(context, target, snapshot.commit, info, [...configFiles, info.files.has(single) ? single : index])
    if (!info.files.has(single)) {
      yield* provide(context, target, snapshot.commit, info, yield* shardsOf(context, target, snapshot))
    }
  })

/** @internal */
export const modelFiles = (context: Context, target: Target): Effect.Effect<Snapshot, HubError> =>
  Effect.gen(function* () {
    const snapshot = yield* tokenizerFiles(context, target)
    if (yield* isComplete(context, target, snapshot)) return snapshot
    const { cache, offline } = target.options
    if (offline === true) {
      const detail = `the cache at ${cache} lacks weights of it: unset HF_HUB_OFFLINE to fetch them once`
      return yield* makeError(target, "NotCached", detail)
    }
    const atCommit = makeTarget({ repo: target.repo, revision: snapshot.commit }, target.options)
    yield* download(context, yield* settings.checkRemote(atCommit), snapshot)
    if (yield* isComplete(context, target, snapshot)) return snapshot
    return yield* makeError(target, "NotFound", "it lacks files that its index of weights names")
  }).pipe(Effect.withSpan("Hub.modelFiles", { attributes: { repo: target.repo, revision: target.revision } }))
