import * as Store from "@effect-tinker/server/Store"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"

const session = (id: string, owner: string, type: "active" | "cancelled"): Store.SessionRow => ({
  id,
  owner,
  created_at: 0,
  user_metadata: undefined,
  display_name: undefined,
  project_id: undefined,
  status: type === "active" ? { type } : { type, detail: "" },
  instance: "one",
  last_seen: 0
})

const sampler = (id: number, session_id: string): Store.SamplerRow => ({
  id: String(id),
  session_id,
  owner: "ada",
  base_model: "m",
  model_path: undefined,
  revision: undefined,
  delegated_read_as: undefined,
  ephemeral: false,
  fingerprint: undefined,
  joined: 0,
  created_at: 0
})

describe("the store in memory", () => {
  it.effect("keeps the latest 10,000 entries of each user's audit log, and those of other users", () =>
    Effect.gen(function* () {
      const { audit } = yield* Store.Store
      const add = (id: number, owner: string) =>
        audit.later.put({ id: `${owner}-${id}`, owner, recorded_at: id, event: "e", details: {} })
      yield* add(0, "bob")
      for (let id = 0; id < 10_500; id++) yield* add(id, "ada")
      const rows = yield* audit.list()
      const ada = rows.filter(({ owner }) => owner === "ada").map(({ recorded_at }) => recorded_at)
      assert.strictEqual(ada.length, 10_000)
      assert.strictEqual(Math.min(...ada), 500)
      assert.strictEqual(rows.length, 10_001)
    }).pipe(Effect.provide(Store.layerMemory))
  )

  it.effect("drops the oldest sessions that have ended, and never one that is active, nor what belongs to it", () =>
    Effect.gen(function* () {
      const { samplers, sessions } = yield* Store.Store
      yield* sessions.put(session("active", "ada", "active"))
      yield* samplers.put(sampler(0, "active"))
      for (let id = 0; id < 10_100; id++) {
        yield* sessions.later.put(session(`ended-${id}`, "ada", "cancelled"))
        yield* samplers.later.put(sampler(id + 1, `ended-${id}`))
      }
      assert.strictEqual((yield* sessions.list()).length, 10_000)
      assert.strictEqual((yield* samplers.list()).length, 10_000)
      assert.isDefined(yield* sessions.get({ id: "active" }))
      assert.isDefined(yield* samplers.get({ id: "0" }))
      assert.isUndefined(yield* sessions.get({ id: "ended-100" }))
      assert.isDefined(yield* sessions.get({ id: "ended-101" }))
    }).pipe(Effect.provide(Store.layerMemory))
  )
})
