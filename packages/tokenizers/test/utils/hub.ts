/** A hub service over a fake hub: its cache, its clock, and disks with faults. */
import * as FakeHub from "@effect-tinker/testing/FakeHub"
import * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as Hub from "../../src/Hub.ts"

export const ref = { repo: "org/model" }

/** A file of the storage host. */
export const tokenizerJson = `{"model": ${JSON.stringify("ü".repeat(1000))}}`

export const files: FakeHub.Files = {
  "config.json": "{}",
  "tokenizer_config.json": '{"eos_token": "</s>"}',
  "chat_template.jinja": "{{ messages }}",
  "tokenizer.json": { content: tokenizerJson, large: true },
  "../../evil.json": "{}",
  "model.safetensors": { content: "large", large: true }
}

export const makeHub = (options: Partial<FakeHub.Options> = {}) =>
  FakeHub.make({ repositories: { "org/model": { files } }, ...options })

export const withCache = <A, E, R>(run: (cache: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* run(yield* fs.makeTempDirectoryScoped())
  }).pipe(Effect.provide(NodeContext.layer))

export const layer = (
  hub: Pick<FakeHub.FakeHub, "layer">,
  options: Hub.Options,
  disk: Layer.Layer<FileSystem.FileSystem> = Layer.empty as never
) =>
  Hub.layer({ endpoint: "https://hub.test", ...options }).pipe(
    Layer.provide([hub.layer, disk]),
    Layer.provide(NodeContext.layer)
  )

const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

/** Waits until nothing reads or writes files any more, which takes real time. */
const diskIsIdle = Effect.gen(function* () {
  for (let idle = 0; idle < 3;) {
    yield* turn
    idle = process.getActiveResourcesInfo().some((name) => name.startsWith("FSReq")) ? 0 : idle + 1
  }
})

/** Moves the clock by half seconds until a fiber is done. It stands still while the disk works. */
export const advance = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.gen(function* () {
    for (;;) {
      yield* diskIsIdle
      if ((yield* Fiber.status(fiber))._tag === "Done") return yield* Fiber.join(fiber)
      yield* TestClock.adjust("500 millis")
    }
  })

/** Loads the files in a fiber of its own, as a process with nothing in memory would. */
export const load = (
  hub: Pick<FakeHub.FakeHub, "layer">,
  options: Hub.Options,
  wanted: Hub.Ref = ref,
  disk?: Layer.Layer<FileSystem.FileSystem>
) =>
  Effect.flatMap(Hub.Hub, ({ tokenizerFiles }) => tokenizerFiles(wanted)).pipe(
    Effect.provide(layer(hub, options, disk)),
    Effect.fork,
    Effect.flatMap(advance)
  )

/** The URLs of the requests, without their protocol. */
export const urls = (hub: FakeHub.FakeHub) =>
  Effect.map(hub.requests, (requests) => requests.map(({ url }) => url.replace(/^https:\/\//, "")))

export const denied = (method: string) =>
  Effect.fail(
    new PlatformError.SystemError({ module: "FileSystem", method, reason: "PermissionDenied", pathOrDescriptor: "" })
  )

/** A disk that can only be read. It calls back for each attempt to write. */
export const readOnlyDisk = (onWrite: () => void = () => {}): Layer.Layer<FileSystem.FileSystem> => {
  const refuse = (method: string) => () => Effect.flatMap(Effect.sync(onWrite), () => denied(method))
  return Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => ({
      ...fs,
      open: refuse("open"),
      writeFile: refuse("writeFile"),
      writeFileString: refuse("writeFileString"),
      makeDirectory: refuse("makeDirectory"),
      rename: refuse("rename"),
      remove: refuse("remove"),
      symlink: refuse("symlink"),
      copyFile: refuse("copyFile")
    }))
  ).pipe(Layer.provide(NodeContext.layer))
}
