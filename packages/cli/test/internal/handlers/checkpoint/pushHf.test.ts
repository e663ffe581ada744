import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"
import { directory } from "../../../utils/fixtures.ts"
import * as FakeHub from "@effect-tinker/testing/FakeHub"
import { makeHub, reject, token } from "../../../utils/hub.ts"
import { failedWithoutToken, push } from "../../../utils/push.ts"
import { layer as ServiceLive, Service } from "../../../utils/service.ts"
import { start } from "../../../utils/tinker.ts"

layer(ServiceLive, { excludeTestServices: true })("tinker checkpoint push-hf", (it) => {
  it.scoped("uploads an adapter with a model card to a private repository named after the run", () =>
    Effect.gen(function* () {
      const { train } = yield* Service
      const id = yield* Effect.orDie(train())
      const hub = yield* makeHub()
      const path = `tinker://${id}/sampler_weights/final`
      const { code, stderr, stdout } = yield* push(hub, [path])
      assert.strictEqual(stderr, "")
      assert.strictEqual(code, 0)
      const [{ branch, files, repo, title }] = (yield* hub.written) as [FakeHub.Written]
      assert.match(repo, /^ada\/tinker-[\w.-]+$/)
      assert.strictEqual(yield* hub.accessOf(repo), "private")
      assert.deepStrictEqual(JSON.parse(stdout), {
        checkpoint_path: path,
        repo_id: repo,
        revision: "sampler_weights-final",
        public: false
      })
      const textOf = (name: string) => new TextDecoder().decode(files[name])
      assert.strictEqual(branch, "sampler_weights-final")
      assert.strictEqual(title, `Upload ${path}`)
      assert.hasAllKeys(files, ["README.md", "adapter_config.json", "adapter_model.safetensors"])
      assert.strictEqual(typeof JSON.parse(textOf("adapter_config.json")).base_model_name_or_path, "string")
      assert.include(textOf("README.md"), `tinker_path: ${path}\n`)
      assert.include(textOf("README.md"), "- rank 8\n")
      assert.isAbove(files["adapter_model.safetensors"]!.length, 100)

      // a second upload works, and another checkpoint gets another branch
      assert.strictEqual((yield* push(hub, [path])).code, 0)
      assert.strictEqual((yield* push(hub, [`tinker://${id}/weights/first`])).code, 0)
      assert.deepStrictEqual(
        (yield* hub.written).map(({ branch }) => branch),
        ["sampler_weights-final", "sampler_weights-final", "weights-first"]
      )
    })
  )

  it.scoped("uploads to the repository and the branch of its flags, with the selected files", () =>
    Effect.gen(function* () {
      const { train } = yield* Service
      const id = yield* Effect.orDie(train())
      const hub = yield* makeHub()
      const path = `tinker://${id}/weights/first`
      const named = yield* push(hub, [
        path,
        "-r",
        "team/adapter",
        "--public",
        "--commit-message",
        "hello",
        "--no-model-card"
      ])
      assert.deepStrictEqual(JSON.parse(named.stdout), {
        checkpoint_path: path,
        repo_id: "team/adapter",
        public: true
      })
      assert.strictEqual(yield* hub.accessOf("team/adapter"), "public")
      const some = ["--allow-pattern", "*.json", "--allow-pattern", "README.*", "--ignore-pattern", "ad*er_config.json"]
      assert.strictEqual((yield* push(hub, [path, "-r", "team/adapter", "--public", ...some])).code, 0)
      const opened = yield* push(hub, [path, "-r", "team/adapter", "--public", "--create-pr"])
      assert.strictEqual(JSON.parse(opened.stdout).pull_request_url, "https://hub.test/team/adapter/discussions/1")
      assert.deepStrictEqual(
        (yield* hub.written).map(({ branch, files, isPullRequest, title }) => [
          branch,
          isPullRequest,
          title,
          Object.keys(files).sort()
        ]),
        [
          ["main", false, "hello", ["adapter_config.json", "adapter_model.safetensors"]],
          ["main", false, `Upload ${path}`, ["README.md"]],
          ["main", true, `Upload ${path}`, ["README.md", "adapter_config.json", "adapter_model.safetensors"]]
        ]
      )
      failedWithoutToken(
        yield* push(hub, [path, "-r", "team/adapter", "--public", "--allow-pattern", "nothing"]),
        "Nothing to upload"
      )
      // the README there names another checkpoint
      const other = `tinker://${id}/sampler_weights/final`
      failedWithoutToken(yield* push(hub, [other, "-r", "team/adapter", "--public"]), path)
      assert.strictEqual((yield* hub.written).length, 3)
    })
  )

  it.scoped("reports errors of the hub with a hint, and never prints the token", () =>
    Effect.gen(function* () {
      const { train } = yield* Service
      const path = `tinker://${yield* Effect.orDie(train())}/weights/first`
      const hub = yield* makeHub()
      failedWithoutToken(yield* push(hub, [path], { HF_TOKEN: "" }), "HF_TOKEN")
      const forbiddingHub = yield* makeHub({
        faultOf: (_, path) => (path === "/api/repos/create" ? reject(403) : undefined)
      })
      const forbidden = yield* push(forbiddingHub, [path])
      failedWithoutToken(forbidden, "Permission denied by Hugging Face")
      assert.include(forbidden.stderr, "hub-7")
    })
  )

  it.scoped.skipIf(process.env["NIGHTLY"] === undefined)(
    "reports errors of tokens, networks and storage (at night: each push takes a second)",
    () =>
      Effect.gen(function* () {
        const { train } = yield* Service
        const path = `tinker://${yield* Effect.orDie(train())}/weights/first`
        const hub = yield* makeHub()
        failedWithoutToken(yield* push(hub, [path], { HF_TOKEN: "another" }), "HF_TOKEN")
        failedWithoutToken(yield* push(hub, [path], { HF_TOKEN: "hf_another" }), "Not logged in to Hugging Face")
        failedWithoutToken(yield* push({ url: "http://127.0.0.1:9" }, [path]), "http://127.0.0.1:9 cannot be reached")
        failedWithoutToken(yield* push(hub, ["tinker://nobody/weights/x"]), "Resource not found")
        const broken = yield* makeHub({ faultOf: (method) => (method === "PUT" ? reject(503) : undefined) })
        failedWithoutToken(yield* push(broken, [path]), "The storage of Hugging Face responded with status 503")
        assert.strictEqual((yield* broken.written).length, 0)
      })
  )

  it.scoped("ends with 130 on SIGINT, and commits nothing", () =>
    Effect.gen(function* () {
      const { env, train } = yield* Service
      const path = `tinker://${yield* Effect.orDie(train())}/weights/first`
      let resolve = () => undefined as void
      const requested = new Promise<void>((done) => (resolve = done))
      const hub = yield* makeHub({
        faultOf: (method) => {
          if (method !== "PUT") return undefined
          resolve()
          return FakeHub.silence
        }
      })
      const tmp = yield* directory
      const running = yield* start(["checkpoint", "push-hf", path], {
        env: { ...env, HF_ENDPOINT: hub.url, HF_TOKEN: token, TMPDIR: tmp }
      })
      yield* Effect.raceFirst(
        Effect.promise(() => requested),
        running.result
      )
      running.child.kill("SIGINT")
      const { code, stdout } = yield* running.result
      assert.strictEqual(code, 130)
      assert.strictEqual(stdout, "")
      assert.strictEqual((yield* hub.written).length, 0)
      assert.deepStrictEqual(readdirSync(tmp), [])
    })
  )
})
