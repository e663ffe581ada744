import { assert, layer } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"
import * as FakeHub from "@effect-tinker/testing/FakeHub"
import { commitTo, type Hub, makeHub, namesAt, reject, requestsOf, textAt } from "../utils/hub.ts"
import { directory } from "../utils/fixtures.ts"
import { checkpoint, failedWithoutToken, push, pushed, startPush } from "../utils/push.ts"
import { layer as ServiceLive } from "../utils/service.ts"

const files = ["README.md", "adapter_config.json", "adapter_model.safetensors"]

/** Kills a push when it sends a request, to which the hub never responds. Heals the hub. */
const killAt = (
  hub: Hub,
  args: ReadonlyArray<string>,
  isLast: (method: string, path: string) => boolean,
  env?: Record<string, string>
) =>
  Effect.gen(function* () {
    const reached = yield* Deferred.make<void>()
    yield* hub.setFaultOf((method, path) =>
      isLast(method, path) ? FakeHub.meanwhile(Deferred.succeed(reached, undefined), FakeHub.silence) : undefined
    )
    const { child, result } = yield* startPush(hub, args, env)
    yield* Effect.raceFirst(Deferred.await(reached), result)
    child.kill("SIGKILL")
    assert.strictEqual((yield* result).code, null)
    yield* hub.setFault(undefined)
  }).pipe(Effect.scoped)

const count = (hub: Hub, pattern: RegExp) => Effect.map(requestsOf(hub, pattern), ({ length }) => length)

/** How many parts of 300 bytes the weights have. */
const partsOf = (hub: Hub, repo: string) =>
  Effect.map(hub.filesAt(repo), (files) => Math.ceil(files!["adapter_model.safetensors"]!.length / 300))

layer(ServiceLive, { excludeTestServices: true })("an interrupted push", (it) => {
  it.scoped("sends a large file in parts", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub({ partSize: 300 })
      pushed(yield* push(hub, [path, "-r", "ada/adapter"]))
      const parts = yield* partsOf(hub, "ada/adapter")
      assert.isAbove(parts, 2)
      assert.strictEqual(yield* count(hub, /^PUT /), parts)
    })
  )

  it.scoped("is completed by the next run after a kill in the middle of the parts", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub({ partSize: 300 })
      const args = [path, "-r", "ada/adapter"]
      yield* killAt(hub, args, (method, path) => method === "PUT" && path.endsWith("/2"))
      assert.isEmpty(yield* hub.written)
      pushed(yield* push(hub, args))
      assert.strictEqual((yield* hub.written).length, 1)
      assert.deepStrictEqual(yield* namesAt(hub, "ada/adapter"), files)
    })
  )

  it.scoped("does not send files again that the hub has after a kill before the commit", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub()
      const args = [path, "-r", "ada/adapter", "--revision", "v1"]
      yield* killAt(hub, args, (_, path) => path.includes("/commit/"))
      assert.strictEqual(yield* count(hub, /^PUT /), 1)
      pushed(yield* push(hub, args))
      assert.strictEqual(yield* count(hub, /^PUT /), 1)
      assert.deepStrictEqual(
        (yield* hub.written).map(({ branch }) => branch),
        ["v1"]
      )
    })
  )

  it.scoped("is finished after a kill between the creation of the repository and of its branch", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub()
      const args = [path, "-r", "ada/adapter", "--revision", "v1"]
      yield* killAt(hub, args, (_, path) => path.includes("/branch/"))
      pushed(yield* push(hub, args))
      assert.strictEqual(yield* count(hub, /repos\/create/), 1)
      assert.strictEqual((yield* hub.written).length, 1)
    })
  )

  it.scoped("repeats a part whose connection was lost, and no other", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub({ partSize: 300 })
      let cuts = 2
      yield* hub.setFaultOf((method, path) =>
        method === "PUT" && path.endsWith("/2") && cuts-- > 0 ? FakeHub.connectionLost : undefined
      )
      pushed(yield* push(hub, [path, "-r", "ada/adapter"]))
      assert.strictEqual(yield* count(hub, /^PUT /), (yield* partsOf(hub, "ada/adapter")) + 2)
    })
  )

  it.scoped("commits on top of a commit that came first, and keeps its changes to the README", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub()
      yield* hub.create("ada/adapter", { access: "private", files: { "README.md": "# Mine\n" } })
      let others = 2
      yield* hub.setFaultOf((_, path) => {
        if (!path.includes("/commit/") || others === 0) return undefined
        others--
        const changes = { [`other${others}.txt`]: "x", "README.md": `# Mine, ${others}\n` }
        return FakeHub.meanwhile(commitTo(hub, "ada/adapter", changes))
      })
      pushed(yield* push(hub, [path, "-r", "ada/adapter"]))
      assert.deepStrictEqual(yield* namesAt(hub, "ada/adapter"), [...files, "other0.txt", "other1.txt"])
      assert.match(yield* textAt(hub, "ada/adapter", "README.md"), /^# Mine, 0\n\n<!-- tinker:begin -->/)
      assert.strictEqual(yield* count(hub, /^PUT /), 1)
    })
  )

  it.scoped("waits for the delay of a hub that limits the rate of requests", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub()
      let limited = 1
      yield* hub.setFaultOf((_, path) => (path.includes("/commit/") && limited-- > 0 ? FakeHub.busy(2) : undefined))
      const { code, stderr } = yield* push(hub, [path, "-r", "ada/adapter"])
      assert.include(stderr, "asks to wait 2 seconds (status 429)")
      assert.strictEqual(code, 0)
      assert.strictEqual((yield* hub.written).length, 1)
    })
  )

  it.scoped("fails with advice after a token expires, and if a proxy responds instead of the hub", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub()
      const page = (status: number) => FakeHub.respond(status, { "content-type": "text/html" }, "<html>no")
      yield* hub.setFaultOf((_, path) => (path.includes("/commit/") ? reject(401) : undefined))
      failedWithoutToken(yield* push(hub, [path]), /Not logged in.*expired/)
      yield* hub.setFaultOf(() => page(200))
      failedWithoutToken(yield* push(hub, [path]), `${hub.url} did not respond as a hub does`)
      yield* hub.setFaultOf(() => page(403))
      failedWithoutToken(yield* push(hub, [path]), /web page.*proxy/)
      yield* hub.forgetUploads
      yield* hub.setFaultOf((method) => (method === "PUT" ? reject(403) : undefined))
      const expired = yield* push(hub, [path])
      failedWithoutToken(expired, /storage.*Run the command again/)
      assert.notInclude(expired.stderr, "signature")
    })
  )

  it.scoped("leaves weights on disk after a kill, which the next run removes", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub()
      const env = { TMPDIR: yield* directory }
      const args = [path, "-r", "ada/adapter"]
      yield* killAt(hub, args, (_, path) => path.includes("/commit/"), env)
      assert.strictEqual(readdirSync(env.TMPDIR).length, 1)
      pushed(yield* push(hub, args, env))
      assert.deepStrictEqual(readdirSync(env.TMPDIR), [])
    })
  )
})
