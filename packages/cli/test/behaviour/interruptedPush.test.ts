import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { addRepo, commitTo, type Fault, filesAt, makeHub, type Options } from "../utils/hub.ts"
import { checkpoint, failedWithoutToken, push, pushed, startPush } from "../utils/push.ts"
import { layer as ServiceLive } from "../utils/service.ts"

/** A hub whose faults can be replaced. */
const makeFaultyHub = (options: Omit<Options, "faultOf"> = {}) =>
  Effect.gen(function* () {
    const faults = { of: (_method: string, _path: string): Fault => undefined }
    const hub = yield* makeHub({ ...options, faultOf: (method, path) => faults.of(method, path) })
    return { ...hub, faults }
  })

type Hub = Effect.Effect.Success<ReturnType<typeof makeFaultyHub>>

/** Kills a push when it sends a request, to which the hub never responds. Heals the hub. */
const killAt = (hub: Hub, args: ReadonlyArray<string>, isLast: (method: string, path: string) => boolean) =>
  Effect.gen(function* () {
    const reached = new Promise<void>((resolve) => {
      hub.faults.of = (method, path) => {
        if (!isLast(method, path)) return undefined
        resolve()
        return "hang"
      }
    })
    const { child, result } = yield* startPush(hub, args)
    yield* Effect.raceFirst(
      Effect.promise(() => reached),
      result
    )
    child.kill("SIGKILL")
    assert.strictEqual((yield* result).code, null)
    hub.faults.of = () => undefined
  }).pipe(Effect.scoped)

const count = (hub: Hub, pattern: RegExp) => hub.requests.filter((request) => pattern.test(request)).length

layer(ServiceLive, { excludeTestServices: true })("an interrupted push", (it) => {
  it.scoped("sends a large file in parts", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeFaultyHub({ partSize: 300 })
      pushed(yield* push(hub, [path, "-r", "ada/adapter"]))
      const [bytes] = [...hub.state.blobs.values()]
      assert.isAbove(bytes!.length, 600)
      assert.strictEqual(count(hub, /^PUT /), Math.ceil(bytes!.length / 300))
      assert.isEmpty(hub.state.parts)
    })
  )

  it.scoped("is completed by the next run after a kill in the middle of the parts", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeFaultyHub({ partSize: 300 })
      const args = [path, "-r", "ada/adapter"]
      yield* killAt(hub, args, (method, path) => method === "PUT" && path.endsWith("/2"))
      assert.isEmpty(hub.commits)
      pushed(yield* push(hub, args))
      assert.strictEqual(hub.commits.length, 1)
      assert.hasAllKeys(filesAt(hub.state, "ada/adapter")!, [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors"
      ])
    })
  )

  it.scoped("does not send files again that the hub has after a kill before the commit", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeFaultyHub()
      const args = [path, "-r", "ada/adapter", "--revision", "v1"]
      yield* killAt(hub, args, (_, path) => path.includes("/commit/"))
      assert.strictEqual(count(hub, /^PUT /), 1)
      pushed(yield* push(hub, args))
      assert.strictEqual(count(hub, /^PUT /), 1)
      assert.deepStrictEqual(
        hub.commits.map(({ branch }) => branch),
        ["v1"]
      )
    })
  )

  it.scoped("is finished after a kill between the creation of the repository and of its branch", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeFaultyHub()
      const args = [path, "-r", "ada/adapter", "--revision", "v1"]
      yield* killAt(hub, args, (_, path) => path.includes("/branch/"))
      pushed(yield* push(hub, args))
      assert.strictEqual(count(hub, /repos\/create/), 1)
      assert.strictEqual(hub.commits.length, 1)
    })
  )

  it.scoped("repeats a part whose connection was lost, and no other", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeFaultyHub({ partSize: 300 })
      let cuts = 2
      hub.faults.of = (method, path) => (method === "PUT" && path.endsWith("/2") && cuts-- > 0 ? "reset" : undefined)
      pushed(yield* push(hub, [path, "-r", "ada/adapter"]))
      const [bytes] = [...hub.state.blobs.values()]
      assert.strictEqual(count(hub, /^PUT /), Math.ceil(bytes!.length / 300) + 2)
    })
  )

  it.scoped("commits on top of a commit that came first, and keeps its changes to the README", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeFaultyHub()
      addRepo(hub.state, "ada/adapter", "private", { "README.md": "# Mine\n" })
      let others = 2
      hub.faults.of = (_, path) => {
        if (!path.includes("/commit/") || others === 0) return undefined
        others--
        commitTo(hub.state, "ada/adapter", { [`other${others}.txt`]: "x", "README.md": `# Mine, ${others}\n` })
        return undefined
      }
      pushed(yield* push(hub, [path, "-r", "ada/adapter"]))
      const files = filesAt(hub.state, "ada/adapter")!
      assert.hasAllKeys(files, [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "other0.txt",
        "other1.txt"
      ])
      assert.match(files["README.md"]!, /^# Mine, 0\n\n<!-- tinker:begin -->/)
      assert.strictEqual(count(hub, /^PUT /), 1)
    })
  )

  it.scoped("waits for the delay of a hub that limits the rate of requests", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeFaultyHub()
      let limited = 1
      hub.faults.of = (_, path) =>
        path.includes("/commit/") && limited-- > 0
          ? { status: 429, headers: { "retry-after": 2 }, body: {} }
          : undefined
      const { code, stderr } = yield* push(hub, [path, "-r", "ada/adapter"])
      assert.include(stderr, "asks to wait 2 seconds (status 429)")
      assert.strictEqual(code, 0)
      assert.strictEqual(hub.commits.length, 1)
    })
  )

  it.scoped("fails with advice after a token expires, and if a proxy responds instead of the hub", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeFaultyHub()
      const page = (status: number): Fault => ({ status, headers: { "content-type": "text/html" }, body: "<html>no" })
      hub.faults.of = (_, path) => (path.includes("/commit/") ? 401 : undefined)
      failedWithoutToken(yield* push(hub, [path]), /Not logged in.*expired/)
      hub.faults.of = () => page(200)
      failedWithoutToken(yield* push(hub, [path]), `${hub.url} did not respond as a hub does`)
      hub.faults.of = () => page(403)
      failedWithoutToken(yield* push(hub, [path]), /web page.*proxy/)
      hub.state.blobs.clear()
      hub.faults.of = (method) => (method === "PUT" ? 403 : undefined)
      const expired = yield* push(hub, [path])
      failedWithoutToken(expired, /storage.*Run the command again/)
      assert.notInclude(expired.stderr, "signature")
    })
  )
})
