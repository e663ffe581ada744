import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TinkerFuture from "@effect-tinker/client/TinkerFuture"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Env from "../../src/Env.ts"
import * as LearningRate from "../../src/LearningRate.ts"
import * as Rl from "../../src/Rl.ts"
import * as runs from "../utils/runs.ts"

const perStep = 3
const steps = 5
type Fault = "failed" | Env.GraderTimeout

const nameOf = (step: number, i: number) => `g${step}.${i}`

/** A group whose episodes end when `until` does. */
const groupOf = (step: number, i: number, until: Effect.Effect<unknown, "failed">): Env.EnvGroup<Fault> =>
  Env.problem<"failed">({
    prompt: [65 + i],
    stop: "\n",
    size: 2,
    decode: (tokens) => String.fromCharCode(...Array.from(tokens)),
    formPenalty: 0,
    grade: ({ tokens }) => Effect.as(until, tokens[0]! % 2),
    tags: [nameOf(step, i)]
  })

const groups = (until: (step: number, i: number) => Effect.Effect<unknown, "failed">) => ({
  fingerprint: "test",
  at: (step: number) => Effect.succeed(Array.from({ length: perStep }, (_, i) => groupOf(step, i, until(step, i))))
})

const yields = (count: number) => Effect.repeatN(Effect.yieldNow(), count)

const options = (loop: Rl.Mode): Omit<Rl.Options<Fault>, "groups"> => ({
  model: { base_model: TestEngine.baseModel, rank: 4, seed: 1 },
  steps,
  learningRate: LearningRate.constant(0.1),
  constantGroups: "keep",
  rollouts: { sampling: { max_tokens: 1 } },
  loop,
  checkpoints: { final: false }
})

/** The names of the groups of each step. A step of one group has no tag of its own. */
const trained = (rows: Rl.Result["rows"]) =>
  rows.map((row) =>
    Object.keys(row)
      .flatMap((name) => /^env\/(g\d+\.\d+)\/total_episodes$/.exec(name)?.[1] ?? [])
      .sort()
  )

const all = Array.from({ length: steps }, (_, step) => Array.from({ length: perStep }, (_, i) => nameOf(step, i)))

describe("asynchronous reinforcement learning", () => {
  it.scoped("keeps the order and the bound of the lag when it is strict, though groups are slow", () =>
    Effect.gen(function* () {
      const slow = groups((step, i) => yields(i === 1 && step < 2 ? 2000 : 5))
      for (const maxLag of [0, 1, 2]) {
        const { rows } = yield* Rl.run({ ...options({ mode: "strict", maxLag }), groups: slow })
        assert.deepStrictEqual(trained(rows), all)
        const lags = rows.map((row) => row["lag/max"] as number)
        assert.strictEqual(Math.max(...lags), maxLag)
        assert.isAtLeast(Math.min(...rows.map((row) => row["lag/min"] as number)), 0)
      }
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("waits for no slow group when the oldest go first, and trains each of them once", () =>
    Effect.gen(function* () {
      const release = yield* Deferred.make<void>()
      // ends only when three others have been trained
      const source = groups((step, i) => (step === 0 && i === 0 ? Deferred.await(release) : Effect.void))
      const evaluations = [
        {
          every: 1,
          run: ({ step }: { readonly step: number }) =>
            Effect.as(step === 2 ? Deferred.succeed(release, undefined) : Effect.void, {})
        }
      ]
      const { rows } = yield* Rl.run({ ...options({ mode: "oldest_first", maxLag: 1 }), groups: source, evaluations })
      const names = trained(rows)
      assert.notInclude(names[0], nameOf(0, 0))
      assert.sameMembers(names.flat(), all.flat())
      assert.isAbove(Math.max(...rows.map((row) => Number(row["lag/max"] ?? 0))), 1)
    }).pipe(Effect.provide(runs.layer))
  )

  for (const mode of ["strict", "oldest_first"] as const) {
    it.scoped(`fails with the error of a group, though another never ends (${mode})`, () =>
      Effect.gen(function* () {
        const source = groups((step, i) => (i === 0 ? Effect.never : step === 0 ? Effect.fail("failed") : Effect.void))
        const error = yield* Effect.flip(Rl.run({ ...options({ mode, maxLag: 1 }), groups: source }))
        assert.strictEqual(error, "failed")
      }).pipe(Effect.provide(runs.layer))
    )

    it.scoped(`trains on the first groups of a step while others are played (${mode})`, () =>
      Effect.gen(function* () {
        const begun = yield* Deferred.make<void>()
        const source = groups((_, i) => (i === 2 ? Deferred.await(begun) : Effect.void))
        const shaping = [
          (examples: ReadonlyArray<unknown>) =>
            Effect.as(Deferred.succeed(begun, undefined), {
              added: examples.map(() => [0]),
              metrics: { examples: examples.length }
            })
        ]
        const loop = { mode, maxLag: 0, minibatches: 2 }
        const { rows } = yield* Rl.run({ ...options(loop), steps: 1, groups: source, shaping })
        assert.deepStrictEqual(trained(rows), [all[0]])
        // the mean of a part of two examples and one of four
        assert.closeTo(Number(rows[0]!["examples"]), (2 * 2 + 4 * 4) / 6, 1e-9)
      }).pipe(Effect.provide(runs.layer))
    )

    it.scoped(`fails with the error of a pass, though groups of its step never end (${mode})`, () =>
      Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const error = new TinkerError.InvalidInput({ method: "forwardBackward", path: "data", reason: "is broken" })
        const failed = TinkerFuture.make({
          method: "forwardBackward",
          seqIds: () => [],
          scope: yield* Effect.scope,
          run: Effect.fail(error)
        })
        const broken: typeof service = {
          ...service,
          createLoraTrainingClient: (model) =>
            Effect.map(service.createLoraTrainingClient(model), (training) => ({
              ...training,
              forwardBackward: () => failed
            }))
        }
        const source = groups((_, i) => (i === 2 ? Effect.never : Effect.void))
        const run = Rl.run({ ...options({ mode, maxLag: 0, minibatches: 2 }), groups: source })
        const ended = yield* run.pipe(Effect.provideService(ServiceClient.ServiceClient, broken), Effect.flip)
        assert.include(String(ended), "is broken")
      }).pipe(Effect.provide(runs.layer))
    )

    it.scoped(`loses no group and trains none twice when it resumes (${mode})`, () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        for (const [killedAt, minibatches] of [
          [1, 1],
          [3, 1],
          [3, 2]
        ] as const) {
          const path = `${yield* fs.makeTempDirectoryScoped()}/run`
          const run = {
            ...options({ mode, maxLag: 1, minibatches }),
            checkpoints: { every: 1, final: false },
            directory: { path, resume: true }
          }
          const source = groups((step, i) => yields((step * 7 + i * 13) % 40))
          const killing = [
            {
              every: 1,
              run: ({ step }: { readonly step: number }) =>
                step === killedAt ? Effect.fail("failed" as const) : Effect.succeed({})
            }
          ]
          yield* Effect.flip(Rl.run({ ...run, groups: source, evaluations: killing }))
          const { from, rows } = yield* Rl.run({ ...run, groups: source })
          assert.strictEqual(from, killedAt)
          assert.sameMembers(trained(rows).flat(), all.flat())
        }
      }).pipe(Effect.provide(runs.layer))
    )
  }

  it.scoped("trains on groups that had ended as they were sampled when it resumes, and removes them at its end", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = `${yield* fs.makeTempDirectoryScoped()}/run`
      const file = `${path}/groups.jsonl`
      const ended: Array<string> = []
      const source = {
        fingerprint: "test",
        at: (step: number) =>
          Effect.succeed(
            Array.from({ length: perStep }, (_, i): Env.EnvGroup<Fault> => ({
              ...groupOf(step, i, yields((step * 7 + i * 13) % 40)),
              rewards: (all) =>
                Effect.sync(() => (ended.push(nameOf(step, i)), all.map((_, member) => member + step / 8)))
            }))
          )
      }
      const run = (killedAt: number | undefined, mode: Rl.Mode) =>
        Rl.run({
          ...options(mode),
          checkpoints: { every: 3, final: killedAt === undefined },
          directory: { path, resume: true },
          groups: source,
          evaluations: [
            {
              every: 1,
              run: ({ step }) => (step === killedAt ? Effect.fail("failed" as const) : Effect.succeed({}))
            }
          ]
        })
      const loop = { mode: "oldest_first", maxLag: 1 } as const
      yield* Effect.flip(run(2, loop))
      // before the first checkpoint: all groups that have ended are there
      const first = yield* runs.jsonLines(file)
      assert.isAbove(first.length, perStep)
      const endedFirst = ended.splice(0)
      assert.includeMembers(
        endedFirst,
        first.map(({ group, step }) => nameOf(step, group))
      )
      // a line that was cut is no group
      yield* fs.writeFileString(file, '{"step":4,"gro', { flag: "a" })
      yield* Effect.flip(run(4, loop))
      const kept = new Set(first.map(({ group, step }) => nameOf(step, group)))
      assert.isEmpty(ended.filter((name) => kept.has(name)))
      const second = yield* runs.jsonLines(file)
      // the checkpoint of step 3 holds nine groups
      assert.isAtMost(second.length, steps * perStep - 9)
      ended.splice(0)
      const { from, rows } = yield* run(undefined, loop)
      assert.strictEqual(from, 3)
      assert.sameMembers(trained(rows).flat(), all.flat())
      const again = new Set(second.map(({ group, step }) => nameOf(step, group)))
      assert.isEmpty(ended.filter((name) => again.has(name)))
      assert.isFalse(yield* fs.exists(file))
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("ends, however random environments are slow, fail or never end", () =>
    Effect.gen(function* () {
      for (let seed = 0; seed < 8; seed++) {
        const random = Random.make(`program ${seed}`)
        const draw = (bound: number) => Effect.runSync(random.nextIntBetween(0, bound))
        const [mode, maxLag, faults] = [
          draw(2) === 0 ? ("strict" as const) : ("oldest_first" as const),
          draw(3),
          draw(3)
        ]
        const kinds = new Map(all.flat().map((name) => [name, draw(20)] as const))
        const source = groups((step, i) => {
          const kind = kinds.get(nameOf(step, i))!
          if (faults > 0 && kind === 0) return Effect.fail("failed")
          return yields(kind * 3)
        })
        // one that never ends, and one that fails in a later step of the same window
        const stuck = groups((_, i) => (i === 2 ? Effect.fail("failed") : Effect.never))
        const isStuck = faults === 2
        const exit = yield* Effect.exit(Rl.run({ ...options({ mode, maxLag }), groups: isStuck ? stuck : source }))
        const fails = isStuck || (faults > 0 && Array.from(kinds.values()).includes(0))
        assert.strictEqual(exit._tag, fails ? "Failure" : "Success", `seed ${seed}`)
      }
    }).pipe(Effect.provide(runs.layer))
  )
})
