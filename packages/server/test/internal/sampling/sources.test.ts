import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import type * as Engine from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as currentUser from "../../../src/internal/auth/currentUser.ts"
import * as sources from "../../../src/internal/sampling/sources.ts"
import type { Environment } from "../../../src/internal/work/environment.ts"

const path = { training_run_id: "r", kind: "sampler_weights", name: "n" } as const
const text = "tinker://r/sampler_weights/n"

const infoOf = (fields: Partial<CheckpointStore.Info> = {}): CheckpointStore.Info => ({
  ...path,
  base_model: "one",
  lora_config: { rank: 1, train_attn: true, train_mlp: true, train_unembed: true },
  lora_alpha: 32,
  created_at: 0,
  size_bytes: 1,
  revision: "first",
  owner: "ada",
  ...fields
})

/** A service with two base models and one checkpoint; the engine's samplers are what they were created from. */
const environmentOf = (info: CheckpointStore.Info | undefined) => {
  const missing = new CheckpointStore.CheckpointNotFound({ path: text })
  return {
    engine: {
      models: [{ model_name: "one" }, { model_name: "two" }],
      createSampler: (options: unknown) => Effect.succeed(options)
    },
    store: {
      info: () => (info === undefined ? missing : Effect.succeed(info)),
      load: () => (info === undefined ? missing : Effect.succeed({ info, adapter: "adapter" }))
    }
  } as unknown as Environment
}

const as = (id: string) => Effect.provideService(currentUser.CurrentUser, { id })

const rejectionOf = <A>(effect: Effect.Effect<A, { readonly _tag: string; readonly detail: string }>) =>
  Effect.map(Effect.flip(effect), ({ _tag, detail }) => [_tag, detail])

describe("what a request samples from", () => {
  it.effect("is a base model, or the weights that a path names now, for the user who asked", () =>
    Effect.gen(function* () {
      const environment = environmentOf(infoOf())
      const base = yield* sources.resolveSource(environment, { base_model: "two" })
      assert.deepStrictEqual(base, { base_model: "two" })
      assert.strictEqual(sources.sourceId(base), "base:two")
      for (const base_model of [undefined, "one"]) {
        const stored = yield* as("ada")(sources.resolveSource(environment, { base_model, model_path: text }))
        assert.deepStrictEqual(stored, {
          base_model: "one",
          stored: { path, revision: "first", reader: { id: "ada" } }
        })
        assert.strictEqual(sources.sourceId(stored), `${text}@first`)
      }
    })
  )

  it.effect("is rejected with the field and the reason", () =>
    Effect.gen(function* () {
      const environment = environmentOf(infoOf())
      const resolve = (request: Parameters<typeof sources.resolveSource>[1]) =>
        as("ada")(rejectionOf(sources.resolveSource(environment, request)))
      const bad = "BadRequestResponse"
      assert.deepStrictEqual(yield* resolve({}), [
        bad,
        "give base_model or model_path, so that there is something to sample from"
      ])
      assert.deepStrictEqual(yield* resolve({ model_path: "x" }), [bad, 'model_path "x" is not a checkpoint path'])
      assert.deepStrictEqual(yield* resolve({ model_path: "tinker://r/weights/n" }), [
        bad,
        "tinker://r/weights/n holds no sampler weights: pass the path that save_weights_for_sampler returned"
      ])
      assert.deepStrictEqual(yield* resolve({ base_model: "two", model_path: text }), [
        bad,
        `${text} is of base model one, not of two`
      ])
      for (const request of [{ base_model: "three" }, { base_model: "three", model_path: text }]) {
        assert.strictEqual((yield* resolve(request))[0], bad)
      }
      const foreign = as("bob")(rejectionOf(sources.resolveSource(environment, { model_path: text })))
      assert.deepStrictEqual(yield* foreign, ["NotFoundResponse", `there is no checkpoint ${text}`])
      // the weights of a model that the engine no longer has
      const other = sources.resolveSource(environmentOf(infoOf({ base_model: "gone" })), { model_path: text })
      assert.strictEqual((yield* as("ada")(rejectionOf(other)))[0], bad)
    })
  )

  it.effect("is checked again before each sample, with the rights of the user who asked", () =>
    Effect.gen(function* () {
      const check = (info: CheckpointStore.Info | undefined, reader: currentUser.User = { id: "ada" }) =>
        as("bob")(
          sources.checkSource(environmentOf(info), "s:sample:0", {
            base_model: "one",
            stored: { path, revision: "first", reader }
          })
        )
      yield* sources.checkSource(environmentOf(undefined), "s:sample:0", { base_model: "one" })
      yield* check(infoOf())
      yield* check(infoOf(), { id: "bob", delegatedReadAs: "ada" })
      yield* check(infoOf({ public: true }), { id: "bob" })
      assert.deepStrictEqual(yield* rejectionOf(check(infoOf(), { id: "bob" })), [
        "NotFoundResponse",
        `there is no checkpoint ${text}`
      ])
      assert.strictEqual((yield* rejectionOf(check(undefined)))[0], "NotFoundResponse")
      assert.deepStrictEqual(yield* rejectionOf(check(infoOf({ revision: "second" }))), [
        "NotFoundResponse",
        `sampling session s:sample:0: the checkpoint ${text} was replaced: create another sampling session to sample from ` +
          "the new one"
      ])
    })
  )

  it.scoped("is loaded into the engine only if the path still names it", () =>
    Effect.gen(function* () {
      const stored = { path, revision: "first", reader: { id: "ada" } }
      const create = (info: CheckpointStore.Info, source: sources.Source) =>
        sources.createEngineSampler(environmentOf(info), source) as Effect.Effect<unknown, Engine.EngineError>
      assert.deepStrictEqual(yield* create(infoOf(), { base_model: "one", stored }), {
        base_model: "one",
        adapter: "adapter"
      })
      assert.deepStrictEqual(yield* create(infoOf(), { base_model: "one" }), { base_model: "one", adapter: undefined })
      const inMemory = "in memory" as never
      assert.deepStrictEqual(yield* create(infoOf(), { base_model: "one", adapter: inMemory, stored }), {
        base_model: "one",
        adapter: inMemory
      })
      const replaced = yield* Effect.flip(create(infoOf({ revision: "second" }), { base_model: "one", stored }))
      assert.include(replaced, {
        category: "user",
        reason: `the checkpoint ${text} was replaced: create another sampling session to sample from the new one`
      })
    })
  )
})
