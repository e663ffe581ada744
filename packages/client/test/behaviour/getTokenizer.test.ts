import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Tokenizers from "@effect-tinker/tokenizers/Tokenizers"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { connect, embedded, json, scripted } from "../utils/services.ts"

/** Fails with the names that it was given. */
const asked = Layer.succeed(Tokenizers.Tokenizers, {
  forModel: (model_name, tokenizer_id) =>
    Effect.fail(new Tokenizer.TokenizerError({ path: model_name, reason: `with ${tokenizer_id}` }))
})

const asksFor = (overrides: Parameters<typeof scripted.make>[0]) =>
  Effect.gen(function* () {
    const http = yield* scripted.make(overrides)
    return yield* Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      const training = yield* service.createLoraTrainingClient({ base_model: "base", rank: 8 })
      return (yield* Effect.flip(training.getTokenizer)).message
    }).pipe(Effect.scoped, Effect.provide([connect(http), asked]))
  })

const info = (model_data: Record<string, unknown>) => ({ "/get_info": json({ model_id: "model-1", model_data }) })

describe("getTokenizer", () => {
  it.scoped("uses the names that the service reports for a model in training", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* asksFor(info({ model_name: "org/model", tokenizer_id: "org/tokenizer" })),
        "org/model with org/tokenizer"
      )
      assert.strictEqual(
        yield* asksFor(info({ model_name: "org/model", tokenizer_id: null })),
        "org/model with undefined"
      )
      assert.strictEqual(yield* asksFor(info({})), "base with undefined")
    })
  )

  it.scoped("uses the base model of a sampler", () =>
    Effect.gen(function* () {
      const http = yield* embedded.make()
      const error = yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const sampling = yield* service.createSamplingClient({ base_model: embedded.baseModel })
        return yield* Effect.flip(sampling.getTokenizer)
      }).pipe(Effect.scoped, Effect.provide([connect(http), asked]))
      assert.strictEqual(error.message, `${embedded.baseModel} with undefined`)
    })
  )
})
