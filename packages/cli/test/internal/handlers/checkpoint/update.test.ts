import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { failed, json, ok, pythonTime, tinker, trained } from "../../../utils/command.ts"
import { layer as ServiceLive } from "../../../utils/service.ts"

layer(ServiceLive, { excludeTestServices: true })("tinker checkpoint", (it) => {
  it.effect("publish, unpublish and set-ttl print nothing, or a JSON document with --format json", () =>
    Effect.gen(function* () {
      const id = yield* trained()
      const path = `tinker://${id}/weights/first`
      const info = Effect.map(tinker(["-f", "json", "checkpoint", "info", path]), json)
      assert.strictEqual(ok(yield* tinker(["checkpoint", "publish", path])), "")
      assert.strictEqual((yield* info).public, true)
      failed(yield* tinker(["checkpoint", "publish", path]), "API error (status 409)")
      assert.deepStrictEqual(json(yield* tinker(["checkpoint", "unpublish", path, "-f", "json"])), {
        tinker_path: path,
        public: false
      })
      assert.strictEqual((yield* info).public, false)
      assert.strictEqual(ok(yield* tinker(["checkpoint", "set-ttl", path, "--ttl", "7200"])), "")
      assert.match((yield* info).expires_at, pythonTime)
      assert.strictEqual(ok(yield* tinker(["checkpoint", "set-ttl", "--remove", path])), "")
      assert.strictEqual((yield* info).expires_at, null)
      failed(yield* tinker(["checkpoint", "set-ttl", path]), "Must specify either --ttl <seconds> or --remove")
      failed(yield* tinker(["checkpoint", "set-ttl", path, "--ttl", "1", "--remove"]), "Cannot specify both")
    })
  )
})
