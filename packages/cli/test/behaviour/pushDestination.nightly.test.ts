import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { trained } from "../utils/command.ts"
import * as FakeHub from "@effect-tinker/testing/FakeHub"
import { commitTo, makeHub, namesAt, reject, requestsOf, textAt, token } from "../utils/hub.ts"
import { checkpoint, failedWithoutToken, push, pushed } from "../utils/push.ts"
import { layer as ServiceLive } from "../utils/service.ts"

const adapter = ["adapter_config.json", "adapter_model.safetensors"]

layer(ServiceLive, { excludeTestServices: true })("the destination of tinker checkpoint push-hf", (it) => {
  it.scoped("is a repository that exists, also where the token may not create any", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub({ faultOf: (_, path) => (path === "/api/repos/create" ? reject(403) : undefined) })
      yield* hub.create("team/adapter", { access: "private", files: {} })
      assert.deepStrictEqual(pushed(yield* push(hub, [path, "-r", "team/adapter"])), {
        checkpoint_path: path,
        repo_id: "team/adapter",
        public: false
      })
      // and somebody else's repository, by a pull request
      yield* hub.create("bob/adapter", { access: "public", files: {} })
      const opened = pushed(yield* push(hub, [path, "-r", "bob/adapter", "--create-pr", "--public"]))
      assert.strictEqual(opened.pull_request_url, "https://hub.test/bob/adapter/discussions/1")
      assert.isTrue(opened.public)
    })
  )

  it.scoped("is a repository that appears only when its creation is rejected", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub()
      yield* hub.setFaultOf((_, path) =>
        path === "/api/repos/create"
          ? FakeHub.meanwhile(hub.create("team/adapter", { access: "private", files: {} }), reject(403))
          : undefined
      )
      pushed(yield* push(hub, [path, "-r", "team/adapter"]))
      assert.sameMembers(yield* namesAt(hub, "team/adapter"), [...adapter, "README.md"])
    })
  )

  it.scoped("is rejected, and the accounts of the token are named, if it may create nothing", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub({ faultOf: (_, path) => (path === "/api/repos/create" ? reject(403) : undefined) })
      failedWithoutToken(yield* push(hub, [path, "-r", "other/adapter"]), "The token belongs to ada, team.")
    })
  )

  it.scoped("is shown with the visibility of the repository, and a public one needs a confirmation", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub()
      yield* hub.create("ada/open", { access: "public", files: {} })
      yield* hub.create("ada/closed", { access: "private", files: {} })
      failedWithoutToken(yield* push(hub, [path, "-r", "ada/open"]), /ada\/open is public.*--public/)
      assert.isEmpty(yield* requestsOf(hub, /^PUT|preupload|commit|create/))
      assert.isTrue(pushed(yield* push(hub, [path, "-r", "ada/open", "--public"])).public)
      // a private one stays private
      assert.isFalse(pushed(yield* push(hub, [path, "-r", "ada/closed", "--public"])).public)
      assert.strictEqual(yield* hub.accessOf("ada/closed"), "private")
    })
  )

  it.scoped("is not used if it turns out public only after its creation", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub()
      yield* hub.setFaultOf((_, path) =>
        path === "/api/repos/create"
          ? FakeHub.meanwhile(hub.create("team/adapter", { access: "public", files: {} }), reject(409))
          : undefined
      )
      failedWithoutToken(yield* push(hub, [path, "-r", "team/adapter"]), "team/adapter is public")
      assert.isEmpty(yield* hub.written)
      assert.isEmpty(yield* requestsOf(hub, /^PUT/))
    })
  )

  it.scoped("belongs to the organization of an organization's token", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const secret = "api_org_secretOfTheTests"
      const hub = yield* makeHub({ token: secret, account: { type: "org", name: "team" } })
      const { repo_id } = pushed(yield* push(hub, [path], { HF_TOKEN: secret }))
      assert.match(repo_id, /^team\/tinker-/)
    })
  )

  it.scoped("is a branch that is created, with a model card that names it", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub()
      yield* hub.create("ada/adapter", { access: "private", files: { LICENSE: "MIT" } })
      const args = [path, "-r", "ada/adapter", "--revision", "feature/x+y"]
      assert.strictEqual(pushed(yield* push(hub, args)).revision, "feature/x+y")
      assert.sameMembers(yield* namesAt(hub, "ada/adapter", "feature/x+y"), [...adapter, "README.md", "LICENSE"])
      const readme = yield* textAt(hub, "ada/adapter", "README.md", "feature/x+y")
      assert.include(readme, ', "ada/adapter", revision="feature/x+y")')
      assert.sameMembers(yield* namesAt(hub, "ada/adapter"), ["LICENSE"])
    })
  )

  it.scoped("is an empty new branch where the default branch holds another checkpoint", () =>
    Effect.gen(function* () {
      const id = yield* trained()
      const hub = yield* makeHub()
      pushed(yield* push(hub, [`tinker://${id}/weights/first`, "-r", "ada/adapter"]))
      yield* commitTo(hub, "ada/adapter", { "logs.txt": "of the first" })
      const other = `tinker://${id}/sampler_weights/final`
      failedWithoutToken(yield* push(hub, [other, "-r", "ada/adapter"]), "holds another checkpoint")
      pushed(yield* push(hub, [other, "-r", "ada/adapter", "--revision", "final"]))
      assert.sameMembers(yield* namesAt(hub, "ada/adapter", "final"), [...adapter, "README.md"])
    })
  )

  it.scoped("keeps the README of a person, and gets a block in it or none", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub()
      const mine = "---\nlicense: mit\n---\n\n# Mine\n\nBy hand.\n"
      yield* hub.create("ada/adapter", { access: "private", files: { "README.md": mine } })
      pushed(yield* push(hub, [path, "-r", "ada/adapter", "--no-model-card"]))
      assert.strictEqual(yield* textAt(hub, "ada/adapter", "README.md"), mine)
      pushed(yield* push(hub, [path, "-r", "ada/adapter"]))
      const added = yield* textAt(hub, "ada/adapter", "README.md")
      assert.isTrue(added.startsWith(mine))
      assert.include(added, path)
      yield* commitTo(hub, "ada/adapter", { "README.md": `${added}\nMore by hand.\n` })
      pushed(yield* push(hub, [path, "-r", "ada/adapter"]))
      assert.strictEqual(yield* textAt(hub, "ada/adapter", "README.md"), `${added}\nMore by hand.\n`)
    })
  )

  it.scoped("is checked before anything is sent: wrong options end with exit code 2", () =>
    Effect.gen(function* () {
      const path = "tinker://run/weights/first"
      const hub = yield* makeHub()
      for (const [option, value] of [
        ["--allow-pattern", "adapter[ab"],
        ["--ignore-pattern", "[z-a]"],
        ["--repo", "a/b/c"],
        ["--repo", "https://huggingface.co/a/b"],
        ["--revision", "a..b"]
      ] as const) {
        failedWithoutToken(yield* push(hub, [path, option, value]), option, 2)
      }
      assert.isEmpty(yield* hub.requests)
    })
  )

  it.scoped("is reached through an endpoint with slashes at its end, and not through one that is no URL", () =>
    Effect.gen(function* () {
      const path = yield* checkpoint
      const hub = yield* makeHub()
      pushed(yield* push({ url: `${hub.url}//` }, [path, "-r", "ada/adapter"]))
      assert.isEmpty(yield* requestsOf(hub, /\/\//))
      failedWithoutToken(yield* push({ url: hub.url.slice("http://".length) }, [path]), "HF_ENDPOINT")
      failedWithoutToken(yield* push(hub, [path], { HF_TOKEN: `${token}\nhf_x` }), "HF_TOKEN")
    })
  )
})
