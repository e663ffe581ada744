/** A model with checkpoints, over HTTP. */
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as client from "./client.ts"

const createSession = Effect.map(
  client.ok(
    client.post("/create_session", {
      tags: [],
      user_metadata: { suite: "rest" },
      sdk_version: "test",
      display_name: "Nightly run",
      project_id: "p"
    })
  ),
  ({ session_id }) => session_id as string
)

/** A model whose training state is saved as `a`, and a second later its sampler weights as `b`. */
export const savedModel = Effect.gen(function* () {
  const session_id = yield* createSession
  const model_id = yield* client.createModel(session_id)
  yield* TestClock.adjust("1 second")
  yield* client.run("/save_weights", { model_id, path: "a", user_metadata: { step: "1" } })
  yield* TestClock.adjust("1 second")
  yield* client.run("/save_weights_for_sampler", { model_id, path: "b" })
  return { session_id, model_id }
})
