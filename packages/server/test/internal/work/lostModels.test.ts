import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import type * as Store from "@effect-tinker/server/Store"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as currentUser from "../../../src/internal/auth/currentUser.ts"
import * as responses from "../../../src/internal/util/responses.ts"
import type { Environment } from "../../../src/internal/work/environment.ts"
import { missingModel, missingRequest } from "../../../src/internal/work/lostModels.ts"

const model = "s:train:0"
const pathOf = (name: string) => `tinker://${model}/weights/${name}`

const lost: Store.RunRow = {
  id: model,
  session_id: "s",
  owner: "ada",
  base_model: "one",
  lora_config: { rank: 1 } as Store.RunRow["lora_config"],
  user_metadata: undefined,
  created_at: 0,
  last_request: 0,
  state: "lost",
  steps: 9,
  saved_path: pathOf("a"),
  saved_steps: 5,
  instance: "i"
}

interface Found {
  readonly run?: Store.RunRow | undefined
  readonly session?: "active" | "client_finished" | undefined
  /** newest first */
  readonly stored?: ReadonlyArray<Partial<CheckpointStore.Info> | string> | undefined
}

/** A service that finds one run, its session, and these checkpoints. */
const environmentOf = ({ run, session, stored }: Found) => {
  const infos = (stored ?? []).map((item) =>
    typeof item === "string" ? { training_run_id: model, kind: "weights", name: item } : item
  ) as ReadonlyArray<CheckpointStore.Info>
  return {
    records: {
      runs: { get: ({ id }: { readonly id: string }) => Effect.succeed(id === run?.id ? run : undefined) },
      sessions: {
        get: ({ id }: { readonly id: string }) =>
          Effect.succeed(id === "s" && session !== undefined ? { status: { type: session } } : undefined)
      }
    },
    store: {
      info: (path: TinkerPath.TinkerPath): Effect.Effect<CheckpointStore.Info, CheckpointStore.CheckpointNotFound> => {
        const text = TinkerPath.format(path)
        const info = infos.find((other) => TinkerPath.format(other) === text)
        return info === undefined ? new CheckpointStore.CheckpointNotFound({ path: text }) : Effect.succeed(info)
      },
      list:
        stored === undefined
          ? new CheckpointStore.CheckpointStoreError({ path: "list", reason: "it cannot be read" })
          : Effect.succeed(infos)
    }
  } as unknown as Environment
}

const answer = (found: Found, user = "ada") =>
  Effect.map(
    missingModel(environmentOf(found), model).pipe(Effect.provideService(currentUser.CurrentUser, { id: user })),
    ({ detail, model_lost }) => ({ detail, model_lost })
  )

const hint = "create a model from that training state with its optimizer"

describe("a request for a model that ended with its process", () => {
  it.effect("is told the training state that was saved last, and the steps since", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* answer({ run: lost, stored: ["b", "a"] }), {
        detail: `model ${model} ended with the process of the service, and 4 optimizer steps since ${pathOf("a")} with it: ${hint}`,
        model_lost: { model_id: model, last_saved: pathOf("a"), steps_lost: 4 }
      })
      const one = yield* answer({ run: { ...lost, saved_steps: 8 }, stored: ["a"] })
      assert.include(one.detail, "and 1 optimizer step since")
    })
  )

  it.effect("is told the newest state of the run that is there, if that was removed", () =>
    Effect.gen(function* () {
      const stored = [
        { training_run_id: "other", kind: "weights", name: "x", optimizer_step: 1 },
        { training_run_id: model, kind: "sampler_weights", name: "x", optimizer_step: 1 },
        { training_run_id: model, kind: "weights", name: "new", optimizer_step: 3 },
        { training_run_id: model, kind: "weights", name: "old", optimizer_step: 2 }
      ] as const
      assert.deepStrictEqual((yield* answer({ run: lost, stored })).model_lost, {
        model_id: model,
        last_saved: pathOf("new"),
        steps_lost: 6
      })
      // one without an optimizer, one of more steps than are recorded, and a path that is none
      const newest = (steps: { readonly optimizer_step?: number }, saved_path = pathOf("a")) =>
        Effect.map(
          answer({
            run: { ...lost, saved_path },
            stored: [{ training_run_id: model, kind: "weights", name: "new", ...steps }]
          }),
          ({ model_lost }) => model_lost?.steps_lost
        )
      assert.strictEqual(yield* newest({}), 9)
      assert.strictEqual(yield* newest({ optimizer_step: 50 }), 0)
      assert.strictEqual(yield* newest({ optimizer_step: 3 }, "no path"), 6)
    })
  )

  it.effect("is told that nothing was saved, if so, or if nothing of it is left", () =>
    Effect.gen(function* () {
      const nothing = {
        detail: `model ${model} ended with the process of the service, and 9 optimizer steps with it: no training state of it was saved`,
        model_lost: { model_id: model, last_saved: null, steps_lost: 9 }
      }
      assert.deepStrictEqual(yield* answer({ run: { ...lost, saved_path: undefined }, stored: ["a"] }), nothing)
      assert.deepStrictEqual(yield* answer({ run: lost, stored: [] }), nothing)
      // the list cannot be read
      assert.deepStrictEqual(yield* answer({ run: lost }), nothing)
    })
  )

  it.effect("is told what became of one that was not lost, and nothing of that of another user", () =>
    Effect.gen(function* () {
      const detailOf = (found: Found, user?: string) =>
        Effect.map(answer(found, user), ({ detail, model_lost }) => {
          assert.strictEqual(model_lost, undefined)
          return detail
        })
      const missing = `there is no model ${model}`
      assert.strictEqual(yield* detailOf({}), missing)
      assert.strictEqual(yield* detailOf({ run: lost, stored: ["a"] }, "bob"), missing)
      assert.strictEqual(yield* detailOf({ run: { ...lost, state: "unloaded" } }), `model ${model} was unloaded`)
      const run = { ...lost, state: "created" } as const
      const ended = `the session of model ${model} has ended, and it is unloaded`
      assert.strictEqual(yield* detailOf({ run, session: "client_finished" }), ended)
      assert.strictEqual(yield* detailOf({ run }), ended)
      assert.strictEqual(
        yield* detailOf({ run, session: "active" }),
        `model ${model} is in training in another process`
      )
    })
  )

  it.effect("may be a poll for the result of one of its operations", () =>
    Effect.gen(function* () {
      const rejection = responses.notFound("there is no request")
      const poll = (request: string, run: Store.RunRow = lost) =>
        Effect.map(
          missingRequest(environmentOf({ run, stored: ["a"] }), request, rejection),
          ({ model_lost }) => model_lost?.last_saved
        )
      for (const id of [`${model}:0`, `${model}:12`, `${model}:unload`])
        assert.strictEqual(yield* poll(id), pathOf("a"))
      for (const id of [
        model,
        `${model}:x`,
        `${model}:1x`,
        `${model}:`,
        "s:train:1:1",
        "s:sample:0:1",
        `${model}:1\n`
      ]) {
        assert.strictEqual(yield* poll(id), undefined, id)
      }
      // any other end of a model says no more than that there is no request
      const environment = environmentOf({ run: { ...lost, state: "unloaded" } })
      assert.strictEqual(yield* missingRequest(environment, `${model}:1`, rejection), rejection)
    })
  )
})
