import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { failed, json, ok, tinker, trained } from "../../../utils/command.ts"
import { directory } from "../../../utils/fixtures.ts"
import { layer as ServiceLive } from "../../../utils/service.ts"

layer(ServiceLive, { excludeTestServices: true })("tinker checkpoint download", (it) => {
  it.scoped("unpacks the archive into a new directory, or replaces it with --force", () =>
    Effect.gen(function* () {
      const id = yield* trained()
      const cwd = yield* directory
      const path = `tinker://${id}/sampler_weights/final`
      const found = json(yield* tinker(["-f", "json", "checkpoint", "download", path, "-o", "models"], { cwd }))
      const destination = join(cwd, "models", `${id}_sampler_weights_final`)
      assert.strictEqual(found.checkpoint_path, path)
      assert.isTrue(found.destination.endsWith(`/models/${id}_sampler_weights_final`))
      assert.isAbove(found.file_size_bytes, 0)
      assert.isAbove(readdirSync(destination).length, 0)
      failed(
        yield* tinker(["checkpoint", "download", path, "-o", "models"], { cwd }),
        "Target directory already exists"
      )
      writeFileSync(join(destination, "old"), "")
      const again = ok(yield* tinker(["checkpoint", "download", "--force", path, "--output", "models"], { cwd }))
      assert.match(again, /│ Checkpoint Path +│ tinker:/)
      assert.notInclude(readdirSync(destination), "old")
    })
  )
})
