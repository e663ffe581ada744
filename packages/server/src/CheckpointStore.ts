/**
 * Where checkpoints lie. What is saved is a snapshot: later training does not change it, and a reader sees all of a
 * checkpoint or none of it.
 *
 * @since 0.1.0
 */
import * as Model from "@effect-tinker/api/Model"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Engine from "./Engine.ts"
import * as files from "./internal/checkpoints/files.ts"

/**
 * A checkpoint of that path exists.
 *
 * @since 0.1.0
 * @category errors
 */
export class CheckpointExists extends Schema.TaggedError<CheckpointExists>(
  "@effect-tinker/server/CheckpointStore/CheckpointExists"
)("CheckpointExists", { path: Schema.String }) {
  override get message(): string {
    return `${this.path} exists already: choose another name, or allow it to be overwritten`
  }
}

/**
 * No checkpoint of that path, or it has expired.
 *
 * @since 0.1.0
 * @category errors
 */
export class CheckpointNotFound extends Schema.TaggedError<CheckpointNotFound>(
  "@effect-tinker/server/CheckpointStore/CheckpointNotFound"
)("CheckpointNotFound", { path: Schema.String }) {
  override get message(): string {
    return `there is no checkpoint ${this.path}`
  }
}

/**
 * The storage failed, or holds what cannot be read.
 *
 * @since 0.1.0
 * @category errors
 */
export class CheckpointStoreError extends Schema.TaggedError<CheckpointStoreError>(
  "@effect-tinker/server/CheckpointStore/CheckpointStoreError"
)("CheckpointStoreError", {
  path: Schema.String,
  reason: Schema.String,
  cause: Schema.optionalWith(Schema.Defect, { exact: true })
}) {
  override get message(): string {
    return `${this.path}: ${this.reason}`
  }
}

/**
 * What is known of a checkpoint without its weights.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Info = Schema.Struct({
  training_run_id: Schema.String,
  kind: Schema.Literal("weights", "sampler_weights", "external_weights"),
  name: Schema.String,
  base_model: Schema.String,
  lora_config: Model.LoraConfig,
  lora_alpha: Schema.Finite,
  /** steps that the optimizer had taken; absent where its state was not saved */
  optimizer_step: Schema.optionalWith(Schema.Int, { exact: true }),
  user_metadata: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.String }), { exact: true }),
  /** milliseconds since the epoch */
  created_at: Schema.Int,
  /** milliseconds since the epoch; absent for a checkpoint that is kept for good */
  expires_at: Schema.optionalWith(Schema.Int, { exact: true }),
  /** of the tensors */
  size_bytes: Schema.Int,
  /** whose it is; absent where it belongs to all who may ask the service */
  owner: Schema.optionalWith(Schema.String, { exact: true }),
  /** whether it is published; absent when it is not */
  public: Schema.optionalWith(Schema.Boolean, { exact: true })
})

/**
 * @since 0.1.0
 * @category models
 */
export type Info = typeof Info.Type

/**
 * @since 0.1.0
 * @category models
 */
export interface Checkpoint {
  readonly info: Info
  readonly adapter: Engine.Adapter
  readonly optimizer: Engine.OptimizerState | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SaveOptions {
  readonly path: TinkerPath.TinkerPath
  readonly adapter: Engine.Adapter
  readonly owner?: string | undefined
  readonly optimizer?: Engine.OptimizerState | undefined
  readonly overwrite?: boolean | undefined
  /** absent: for good */
  readonly ttl_seconds?: number | undefined
  readonly user_metadata?: { readonly [key: string]: string } | undefined
}

/**
 * What can change of a checkpoint once it is saved; `expires_at: undefined` keeps it for good.
 *
 * @since 0.1.0
 * @category models
 */
export interface Change {
  readonly public?: boolean
  /** milliseconds since the epoch */
  readonly expires_at?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** What is not named in the change stays as it is. */
  readonly update: (
    path: TinkerPath.TinkerPath,
    change: Change
  ) => Effect.Effect<Info, CheckpointNotFound | CheckpointStoreError>
  readonly save: (options: SaveOptions) => Effect.Effect<Info, CheckpointExists | CheckpointStoreError>
  readonly load: (path: TinkerPath.TinkerPath) => Effect.Effect<Checkpoint, CheckpointNotFound | CheckpointStoreError>
  readonly info: (path: TinkerPath.TinkerPath) => Effect.Effect<Info, CheckpointNotFound | CheckpointStoreError>
  readonly remove: (path: TinkerPath.TinkerPath) => Effect.Effect<void, CheckpointNotFound | CheckpointStoreError>
  /** newest first, without those that have expired */
  readonly list: Effect.Effect<ReadonlyArray<Info>, CheckpointStoreError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class CheckpointStore extends Context.Tag("@effect-tinker/server/CheckpointStore")<CheckpointStore, Service>() {}

const describe = (options: SaveOptions, now: number): Info => ({
  ...options.path,
  base_model: options.adapter.base_model,
  lora_config: options.adapter.lora_config,
  lora_alpha: options.adapter.lora_alpha,
  ...(options.optimizer === undefined ? {} : { optimizer_step: options.optimizer.step }),
  ...(options.user_metadata === undefined ? {} : { user_metadata: options.user_metadata }),
  ...(options.owner === undefined ? {} : { owner: options.owner }),
  created_at: now,
  ...(options.ttl_seconds === undefined ? {} : { expires_at: now + options.ttl_seconds * 1000 }),
  size_bytes: files.sizeOf(options.adapter, options.optimizer)
})

const changed = (info: Info, change: Change): Info => {
  const { expires_at, public: isPublic, ...rest } = info
  const next = {
    public: isPublic,
    expires_at,
    ...change
  }
  return {
    ...rest,
    ...(next.public === true ? { public: true } : {}),
    ...(next.expires_at === undefined ? {} : { expires_at: next.expires_at })
  }
}

const isLive = (info: Info, now: number): boolean => info.expires_at === undefined || info.expires_at > now

const newestFirst = (infos: ReadonlyArray<Info>): ReadonlyArray<Info> =>
  infos.slice().sort((a, b) => b.created_at - a.created_at)

/**
 * A store that forgets when it is released.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeMemory: Effect.Effect<Service> = Effect.sync(() => {
  const held = new Map<string, Checkpoint>()

  const find = (path: TinkerPath.TinkerPath) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const key = TinkerPath.format(path)
      const found = held.get(key)
      return found !== undefined && isLive(found.info, now)
        ? Effect.succeed(found)
        : new CheckpointNotFound({ path: key })
    })

  return {
    save: (options) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const key = TinkerPath.format(options.path)
        const found = held.get(key)
        if (options.overwrite !== true && found !== undefined && isLive(found.info, now)) {
          return new CheckpointExists({ path: key })
        }
        const info = describe(options, now)
        held.set(key, structuredClone({ info, adapter: options.adapter, optimizer: options.optimizer }))
        return Effect.succeed(info)
      }),
    load: (path) => Effect.map(find(path), (found) => structuredClone(found)),
    info: (path) => Effect.map(find(path), (found) => found.info),
    update: (path, change) =>
      Effect.map(find(path), (found) => {
        const info = changed(found.info, change)
        held.set(TinkerPath.format(path), { ...found, info })
        return info
      }),
    remove: (path) =>
      Effect.map(find(path), () => {
        held.delete(TinkerPath.format(path))
      }),
    list: Effect.map(Clock.currentTimeMillis, (now) =>
      newestFirst(Array.from(held.values(), ({ info }) => info).filter((info) => isLive(info, now)))
    )
  }
})

/**
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<CheckpointStore> = Layer.effect(CheckpointStore, makeMemory)

/** What a directory says of itself: how large its files are, and their SHA-256 in hexadecimal. */
const Stored = Schema.Struct({
  ...Info.fields,
  files: Schema.optionalWith(
    Schema.Record({ key: Schema.String, value: Schema.Struct({ size_bytes: Schema.Int, sha256: Schema.String }) }),
    { exact: true }
  )
})

const decodeStored = Schema.decodeUnknown(Schema.parseJson(Stored))
const encodeStored = Schema.encodeSync(Schema.parseJson(Stored, { space: 2 }))

const sha256 = (bytes: Uint8Array): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>)),
    (digest) => Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")
  )

const encodeText = (text: string): Uint8Array => new TextEncoder().encode(text)

// checkpoints that have expired are removed now and then
const sweepInterval = 60 * 60 * 1000

/**
 * A store of directories, `<directory>/<training run>/<kind>/<name>`, made when first needed. Each holds
 * `adapter_model.safetensors` and `adapter_config.json` as PEFT reads them, `checkpoint.json`, and, with a training
 * state, `optimizer.safetensors`.
 *
 * A checkpoint is written beside its place, forced to the disk, and moved there in one step: one that was acknowledged is
 * whole, whenever the process or the machine stops, and of others nothing is seen. What such a stop leaves is cleared up
 * when the store is made. Files are checked against their checksums when they are read. One process at a time may use a
 * directory.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeFileSystem = (directory: string): Effect.Effect<Service, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const writing = yield* Effect.makeSemaphore(1)

    const failed = (path: TinkerPath.TinkerPath) => (cause: { readonly message: string }) =>
      new CheckpointStoreError({ path: TinkerPath.format(path), reason: cause.message, cause })

    // the run and the name come from clients: nothing but plain names may become part of a path
    const placeOf = (path: TinkerPath.TinkerPath): string | undefined => {
      const run = files.directoryName(path.training_run_id)
      return run === undefined || !TinkerPath.isCheckpointName(path.name)
        ? undefined
        : join(directory, run, path.kind, path.name)
    }

    /** Written, and on the disk. */
    const writeFile = (file: string, content: Uint8Array) =>
      Effect.flatMap(fs.open(file, { flag: "w" }), (opened) =>
        Effect.zipRight(opened.writeAll(content), opened.sync)
      ).pipe(Effect.scoped)

    // not everywhere can a directory be opened; there it needs no such care
    const syncDirectory = (place: string) =>
      Effect.ignore(Effect.scoped(Effect.flatMap(fs.open(place, { flag: "r" }), ({ sync }) => sync)))

    const readStored = (path: TinkerPath.TinkerPath) =>
      Effect.gen(function* () {
        const place = placeOf(path)
        const file = place === undefined ? undefined : join(place, files.infoFile)
        if (place === undefined || file === undefined || !(yield* Effect.mapError(fs.exists(file), failed(path)))) {
          return yield* new CheckpointNotFound({ path: TinkerPath.format(path) })
        }
        const text = yield* Effect.mapError(fs.readFileString(file), failed(path))
        const { files: sums, ...info } = yield* Effect.mapError(decodeStored(text), failed(path))
        return { place, info, sums }
      })

    const find = (path: TinkerPath.TinkerPath) =>
      Effect.gen(function* () {
        const found = yield* readStored(path)
        return isLive(found.info, yield* Clock.currentTimeMillis)
          ? found
          : yield* new CheckpointNotFound({ path: TinkerPath.format(path) })
      })

    const draftDirectory = fs.makeTempDirectoryScoped({ directory, prefix: files.draftPrefix })

    const write = Effect.fnUntraced(function* (options: SaveOptions, place: string, info: Info, replace: boolean) {
      const parent = join(place, "..")
      yield* fs.makeDirectory(parent, { recursive: true })
      const draft = yield* draftDirectory
      const fresh = join(draft, "new")
      yield* fs.makeDirectory(fresh)
      const sums: Record<string, { readonly size_bytes: number; readonly sha256: string }> = {}
      for (const [name, content] of files.encode(options.adapter, options.optimizer)) {
        yield* writeFile(join(fresh, name), content)
        sums[name] = { size_bytes: content.length, sha256: yield* sha256(content) }
      }
      yield* writeFile(join(fresh, files.infoFile), encodeText(encodeStored({ ...info, files: sums })))
      yield* syncDirectory(fresh)
      const old = join(draft, files.oldDirectory)
      yield* Effect.uninterruptible(
        Effect.gen(function* () {
          // stopped between the two, the old one is found in the draft: see `recover`
          if (replace) yield* fs.rename(place, old)
          yield* fs
            .rename(fresh, place)
            .pipe(Effect.tapError(() => (replace ? Effect.ignore(fs.rename(old, place)) : Effect.void)))
          yield* syncDirectory(parent)
        })
      )
    }, Effect.scoped)

    const save = Effect.fnUntraced(function* (options: SaveOptions) {
      const key = TinkerPath.format(options.path)
      const place = placeOf(options.path)
      if (place === undefined) {
        return yield* new CheckpointStoreError({ path: key, reason: "is not a name that can be saved" })
      }
      const now = yield* Clock.currentTimeMillis
      if (now >= nextSweep) yield* sweep(now)
      const found = yield* readStored(options.path).pipe(
        Effect.map(({ info }) => info),
        Effect.catchTag("CheckpointNotFound", () => Effect.succeed(undefined))
      )
      if (options.overwrite !== true && found !== undefined && isLive(found, now)) {
        return yield* new CheckpointExists({ path: key })
      }
      const info = describe(options, now)
      const replace = yield* Effect.mapError(fs.exists(place), failed(options.path))
      yield* Effect.mapError(write(options, place, info, replace), failed(options.path))
      return info
    })

    const update = Effect.fnUntraced(function* (path: TinkerPath.TinkerPath, change: Change) {
      const { info, place, sums } = yield* find(path)
      const next = changed(info, change)
      const stored = encodeText(encodeStored({ ...next, ...(sums === undefined ? {} : { files: sums }) }))
      yield* draftDirectory.pipe(
        Effect.flatMap((draft) => {
          const file = join(draft, files.infoFile)
          return writeFile(file, stored).pipe(
            Effect.zipRight(Effect.uninterruptible(fs.rename(file, join(place, files.infoFile)))),
            Effect.zipRight(syncDirectory(place))
          )
        }),
        Effect.mapError(failed(path))
      )
      return next
    }, Effect.scoped)

    // gone in one step, however long it takes to clear it away
    const discard = (place: string) =>
      Effect.flatMap(draftDirectory, (draft) =>
        Effect.zipRight(fs.rename(place, join(draft, "gone")), syncDirectory(join(place, "..")))
      ).pipe(Effect.scoped)

    const load = Effect.fnUntraced(function* (path: TinkerPath.TinkerPath) {
      const { info, place, sums } = yield* find(path)
      const read = (name: string) =>
        Effect.gen(function* () {
          const bytes = yield* Effect.mapError(fs.readFile(join(place, name)), failed(path))
          const expected = sums?.[name]
          if (
            expected !== undefined &&
            (expected.size_bytes !== bytes.length || expected.sha256 !== (yield* sha256(bytes)))
          ) {
            return yield* new CheckpointStoreError({
              path: TinkerPath.format(path),
              reason: `is damaged: ${name} is not what was saved`
            })
          }
          return bytes
        })
      const adapter = yield* read(files.adapterFile)
      const optimizer = info.optimizer_step === undefined ? undefined : yield* read(files.optimizerFile)
      const decoded = yield* Effect.mapError(files.decode(info, adapter, optimizer), failed(path))
      return { info, ...decoded }
    })

    const entries = (place: string) =>
      fs.exists(place).pipe(
        Effect.flatMap((exists) => (exists ? fs.readDirectory(place) : Effect.succeed([]))),
        Effect.map((names) => names.filter((name) => !name.startsWith(".")))
      )

    /** All that are there, whether they have expired or not. */
    const all = Effect.gen(function* () {
      const found: Array<Info> = []
      for (const run of yield* entries(directory)) {
        const training_run_id = files.runOfDirectory(run)
        if (training_run_id === undefined) continue
        for (const kind of ["weights", "sampler_weights", "external_weights"] as const) {
          for (const name of yield* entries(join(directory, run, kind))) {
            const stored = yield* Effect.option(readStored({ training_run_id, kind, name }))
            if (stored._tag === "Some") found.push(stored.value.info)
          }
        }
      }
      return found
    })

    const list = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      return newestFirst((yield* all).filter((info) => isLive(info, now)))
    }).pipe(Effect.mapError((cause) => new CheckpointStoreError({ path: directory, reason: cause.message, cause })))

    let nextSweep = 0
    const sweep = (now: number) =>
      Effect.gen(function* () {
        nextSweep = now + sweepInterval
        for (const info of yield* all) {
          const place = isLive(info, now) ? undefined : placeOf(info)
          if (place !== undefined) yield* discard(place)
        }
      }).pipe(Effect.catchAll((error) => Effect.logWarning("checkpoints that have expired are not removed", error)))

    /** Puts back what was about to be replaced when the process stopped, and clears the drafts away. */
    const recover = Effect.gen(function* () {
      if (!(yield* fs.exists(directory))) return
      for (const name of yield* fs.readDirectory(directory)) {
        if (!name.startsWith(files.draftPrefix)) continue
        const old = join(directory, name, files.oldDirectory)
        if (yield* fs.exists(join(old, files.infoFile))) {
          const info = yield* Effect.option(Effect.flatMap(fs.readFileString(join(old, files.infoFile)), decodeStored))
          const place = info._tag === "Some" ? placeOf(info.value) : undefined
          if (place !== undefined && !(yield* fs.exists(place))) {
            yield* fs.rename(old, place)
            yield* syncDirectory(join(place, ".."))
          }
        }
        yield* fs.remove(join(directory, name), { recursive: true })
      }
    }).pipe(Effect.catchAll((error) => Effect.logWarning(`what is left in ${directory} cannot be cleared up`, error)))

    yield* recover

    return {
      save: (options) => writing.withPermits(1)(save(options)),
      load,
      info: (path) => Effect.map(find(path), ({ info }) => info),
      update: (path, change) => writing.withPermits(1)(update(path, change)),
      remove: (path) =>
        writing.withPermits(1)(
          Effect.flatMap(find(path), ({ place }) => Effect.mapError(discard(place), failed(path)))
        ),
      list
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layerFileSystem = (
  directory: string
): Layer.Layer<CheckpointStore, never, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(CheckpointStore, makeFileSystem(directory))
