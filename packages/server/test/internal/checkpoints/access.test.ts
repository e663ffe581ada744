import * as Store from "@effect-tinker/server/CheckpointStore"
import type { TinkerPath } from "@effect-tinker/api/TinkerPath"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as currentUser from "../../../src/internal/auth/currentUser.ts"
import * as access from "../../../src/internal/checkpoints/access.ts"

const path: TinkerPath = { training_run_id: "s:train:0", kind: "weights", name: "a" }
const text = "tinker://s:train:0/weights/a"

const infoOf = (fields: Partial<Store.Info>): Store.Info => ({
  ...path,
  base_model: "m",
  lora_config: { rank: 1, train_attn: true, train_mlp: true, train_unembed: true },
  lora_alpha: 32,
  created_at: 0,
  size_bytes: 1,
  ...fields
})

type Lookup = Effect.Effect<Store.Info, Store.CheckpointNotFound | Store.CheckpointStoreError>

/** A store that has this one checkpoint, or fails to look it up. */
const storeOf = (info: Lookup): Store.Service => ({ info: () => info }) as never

const as = (user: currentUser.User) => Effect.provideService(currentUser.CurrentUser, user)

/** Whether the user may read a checkpoint, and whether they may change it. */
const rights = (user: currentUser.User, info: Store.Info) =>
  Effect.map(
    Effect.all([
      Effect.exit(access.findReadable(storeOf(Effect.succeed(info)), path)),
      Effect.exit(access.findOwned(storeOf(Effect.succeed(info)), path))
    ]),
    ([reads, changes]) => [Exit.isSuccess(reads), Exit.isSuccess(changes)]
  ).pipe(as(user))

const rejection = <A>(effect: Effect.Effect<A, { readonly _tag: string; readonly detail: string }>) =>
  Effect.map(Effect.flip(effect), ({ _tag, detail }) => ({ _tag, detail }))

/** What an effect dies with; `undefined` if it does not. Options are iterable, and so all equal for `deepStrictEqual`. */
const defect = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.exit(effect), (exit) =>
    Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined
  )

describe("a checkpoint", () => {
  it.effect("is read by its owner, by holders of their token, and by all once it is public", () =>
    Effect.gen(function* () {
      const hers = infoOf({ owner: "ada" })
      const published = infoOf({ owner: "ada", public: true })
      for (const [user, info, reads, changes] of [
        [{ id: "ada" }, hers, true, true],
        [{ id: "bob" }, hers, false, false],
        [{ id: "bob", delegatedReadAs: "ada" }, hers, true, false],
        [{ id: "bob", delegatedReadAs: "carol" }, hers, false, false],
        [{ id: "ada", delegatedReadAs: "bob" }, hers, true, true],
        [{ id: "bob" }, published, true, false],
        [{ id: "bob" }, infoOf({ owner: "ada", public: false }), false, false],
        [{ id: "ada" }, published, true, true],
        // without keys there is one user; and what such a service stored is everybody's
        [{ id: undefined }, hers, true, true],
        [{ id: "bob" }, infoOf({}), true, true]
      ] as const) {
        assert.deepStrictEqual(yield* rights(user, info), [reads, changes], JSON.stringify([user, info.owner]))
      }
    })
  )

  it.effect("of another user, and one that does not exist, are rejected with the same words", () =>
    Effect.gen(function* () {
      const none = storeOf(new Store.CheckpointNotFound({ path: text }))
      const hers = storeOf(Effect.succeed(infoOf({ owner: "ada" })))
      for (const find of [access.findReadable, access.findOwned]) {
        const expected = { _tag: "NotFoundResponse", detail: `there is no checkpoint ${text}` }
        assert.deepStrictEqual(yield* as({ id: "bob" })(rejection(find(none, path))), expected)
        assert.deepStrictEqual(yield* as({ id: "bob" })(rejection(find(hers, path))), expected)
      }
    })
  )

  it.effect("that the store fails to read is a defect of the service, and no missing one", () =>
    Effect.gen(function* () {
      const failure = new Store.CheckpointStoreError({ path: text, reason: "the disk is gone" })
      const broken = storeOf(failure)
      for (const find of [access.findReadable, access.findOwned]) {
        assert.strictEqual(yield* defect(find(broken, path)), failure)
      }
      assert.strictEqual(yield* defect(access.orInsufficient(failure)), failure)
    })
  )

  it.effect("that exceeds the quota is rejected with the numbers", () =>
    Effect.gen(function* () {
      const { _tag, detail } = yield* rejection(
        access.orInsufficient(new Store.QuotaExceeded({ used: 70, requested: 40, limit: 100 }))
      )
      assert.strictEqual(_tag, "InsufficientStorageResponse")
      assert.include(detail, "40 bytes does not fit: your checkpoints use 70 of 100")
      assert.strictEqual(yield* access.orInsufficient(Effect.succeed(7)), 7)
    })
  )
})

describe("the path of a checkpoint", () => {
  it.effect("has a run, one of three kinds, and a name", () =>
    Effect.gen(function* () {
      for (const kind of ["weights", "sampler_weights", "external_weights"] as const) {
        assert.deepStrictEqual(yield* access.parsePath(`tinker://r/${kind}/n`), {
          training_run_id: "r",
          kind,
          name: "n"
        })
      }
      for (const wrong of ["tinker://r/checkpoints/n", "tinker://r", "r/weights/n", "tinker://r/other/n", ""]) {
        assert.deepStrictEqual(yield* rejection(access.parsePath(wrong)), {
          _tag: "BadRequestResponse",
          detail: `path ${JSON.stringify(wrong)} is not a checkpoint path`
        })
      }
    })
  )

  it.effect("to train from is one that save_weights returned", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* access.parseTrainingPath(text), path)
      for (const kind of ["sampler_weights", "external_weights"]) {
        const other = `tinker://r/${kind}/n`
        assert.deepStrictEqual(yield* rejection(access.parseTrainingPath(other)), {
          _tag: "BadRequestResponse",
          detail: `${other} is not a training checkpoint: pass the path that save_weights returned`
        })
      }
    })
  )
})

describe("the expiry of a checkpoint", () => {
  it.effect("is at most a hundred years away", () =>
    Effect.gen(function* () {
      const century = 3_153_600_000
      for (const seconds of [undefined, null, 1, century]) yield* access.checkTtl(seconds)
      assert.deepStrictEqual(yield* rejection(access.checkTtl(century + 1)), {
        _tag: "BadRequestResponse",
        detail: `ttl_seconds is ${century + 1}, but at most ${century} is allowed`
      })
    })
  )
})
