import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { failed, json, ok, tinker } from "../../utils/command.ts"
import { layer as ServiceLive } from "../../utils/service.ts"

layer(ServiceLive, { excludeTestServices: true })("tinker model", (it) => {
  it.effect("list shows the models whose names contain a substring", () =>
    Effect.gen(function* () {
      const { models } = json(yield* tinker(["-f", "json", "model", "list"]))
      assert.isAbove(models.length, 0)
      assert.hasAllKeys(models[0], ["model_name", "max_context_length", "trainable", "sampleable"])
      const part = models[0].model_name.slice(1).toUpperCase()
      assert.include(ok(yield* tinker(["model", "list", part])), models[0].model_name)
      failed(yield* tinker(["model", "list", "absent"]), "No model name contains 'absent'")
    })
  )
})
