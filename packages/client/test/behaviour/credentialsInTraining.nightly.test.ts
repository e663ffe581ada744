import * as Datum from "@effect-tinker/api/Datum"
import * as Credentials from "@effect-tinker/client/Credentials"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, Redacted, TestClock } from "effect"
import * as commands from "../utils/commands.ts"
import { bodyOf } from "../utils/exits.ts"
import { withWarnings } from "@effect-tinker/testing/Logs"
import { baseUrl, forwardTo, json } from "../utils/services.ts"
import { errorResponse } from "../utils/trainingRun.ts"

const steps = 40
const lifetime = 300
const batch = [Datum.fromPromptCompletion([1, 2], [3, 4])]

// the clock of this machine, against the one of those who issue and verify tokens
const seconds = (ahead: number) => Effect.map(Clock.currentTimeMillis, (now) => Math.floor(now / 1000) - ahead)
const issue = (ahead: number) =>
  Effect.map(seconds(ahead), (now) => commands.token({ iat: now, exp: now + lifetime, sub: "user" }))

/** A step a minute, and the loss of each. */
const train = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const training = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 4, seed: 1 })
  return yield* Effect.forEach(Array.from({ length: steps }), () =>
    Effect.gen(function* () {
      const forward = yield* training.forwardBackward(batch, "cross_entropy")
      const update = yield* training.optimStep({ learning_rate: 0.1 })
      const [output] = yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
      yield* Effect.sleep("1 minute")
      return output.metrics["loss:sum"]!
    })
  )
})

type Script = Record<string, ScriptedHttpClient.Step | ReadonlyArray<ScriptedHttpClient.Step>>

/** Trains with a service that rejects every request whose token has expired by its clock. */
const run = (credentials: Credentials.Credentials, ahead: number, script: Script) =>
  Effect.gen(function* () {
    const server = yield* TestServer.make({ engine: { vocabularySize: 16 } })
    const rejected: Array<string> = []
    const forward = forwardTo(server.client)
    const verify: ScriptedHttpClient.Step = (request) =>
      Effect.flatMap(seconds(ahead), (now) => {
        const token = request.headers["x-api-key"]!
        const { exp } = JSON.parse(Buffer.from(token.split(".")[1] ?? "e30", "base64url").toString() || "{}")
        if (exp === undefined || now < exp)
          return typeof forward === "function" ? asEffect(forward(request)) : Effect.never
        rejected.push(request.path)
        return Effect.succeed(errorResponse(401, { "www-authenticate": 'Bearer error="invalid_token"' }))
      })
    const http = yield* ScriptedHttpClient.make({ ...script, "*": verify })
    const layer = ServiceClient.layer({ credentials, baseUrl, telemetry: false }).pipe(Layer.provide(http.layer))
    const fiber = yield* Effect.fork(Effect.scoped(Effect.provide(train, layer)))
    for (let i = 0; i < steps * 2 && (yield* Fiber.poll(fiber))._tag === "None"; i++)
      yield* TestClock.adjust("1 minute")
    const losses = yield* Fiber.join(fiber)
    return { losses, http, rejected, operations: yield* server.engine.operations }
  }).pipe(Effect.scoped)

const asEffect = <A>(value: A | Effect.Effect<A>): Effect.Effect<A> =>
  Effect.isEffect(value) ? value : Effect.succeed(value)

const plainRun = Effect.flatMap(Credentials.make({ apiKey: Redacted.make("tml-key") }), (credentials) =>
  run(credentials, 0, { "/client/config": json({}) })
)

let losses: ReadonlyArray<number> | undefined

/** The losses of a run without any failure. */
const expectedLosses = Effect.suspend(() =>
  losses === undefined ? Effect.map(plainRun, (run) => (losses = run.losses)) : Effect.succeed(losses)
)

/** All steps were applied once and in order, with the results of a run without any failure. */
const assertSameTraining = (
  { http, losses, operations }: Effect.Effect.Success<typeof plainRun>,
  expected: ReadonlyArray<number>
) =>
  Effect.gen(function* () {
    assert.deepStrictEqual(losses, expected)
    for (const name of ["forwardBackward", "optimStep"]) {
      assert.strictEqual(operations.filter((operation) => operation.name === name).length, steps)
    }
    const updates = (yield* http.requestsTo("/optim_step")).map((request) => bodyOf(request)["seq_id"])
    assert.deepStrictEqual(
      [...new Set(updates)],
      Array.from({ length: steps }, (_, i) => 2 * i + 2)
    )
  })

describe.each([
  ["right", 0],
  ["an hour ahead", 3600],
  ["an hour behind", -3600]
] as const)("a training loop on a machine whose clock is %s", (_, ahead) => {
  it.effect("applies all steps once while the command that prints tokens fails in every way", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("2 hours")
      const expected = yield* expectedLosses
      const failing: Record<number, commands.Run | "hangs"> = {
        1: { exitCode: 1 },
        2: { output: "tml-a\ntml-b" },
        4: "hangs",
        // until after the current token has expired
        ...Object.fromEntries(Array.from({ length: 7 }, (_, i) => [6 + i, { exitCode: 127 }])),
        14: { output: "" },
        16: { exitCode: 137, output: "tml-killed" }
      }
      const command = yield* commands.make((run) => {
        const failure = failing[run]
        if (failure === "hangs") return Effect.never
        return failure === undefined ? Effect.map(issue(ahead), (output) => ({ output })) : Effect.succeed(failure)
      })
      const credentials = yield* Effect.provide(Credentials.make({ command: "any" }), command.layer)
      const { lines, value } = yield* withWarnings(run(credentials, ahead, { "/client/config": json({}) }))
      yield* assertSameTraining(value, expected)
      const runs = yield* command.runs
      assert.isAtLeast(runs.length, 18)
      assert.isAtMost(runs.length, 30, "a run for each expiry and each failure, and none for each request")
      assert.isAtLeast(lines.filter((line) => line.includes("TINKER_CREDENTIAL_CMD")).length, 9)
      assert.match(lines.join("\n"), /exit 127: no such command/)
      assert.notMatch(lines.join("\n"), /eyJ|tml-/)
      assert.deepStrictEqual(value.rejected, [])
    })
  )

  it.effect("applies all steps once while the exchange of its key for tokens fails in every way", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("2 hours")
      const expected = yield* expectedLosses
      const token: ScriptedHttpClient.Step = () => Effect.map(issue(ahead), (jwt) => json({ jwt }))
      const failures: ReadonlyArray<ScriptedHttpClient.Step> = [
        errorResponse(503),
        ScriptedHttpClient.connectionLost,
        errorResponse(401),
        json({ detail: "no token" }),
        () => Effect.never
      ]
      const credentials = yield* Credentials.make({ apiKey: Redacted.make("tml-key") })
      const { lines, value } = yield* withWarnings(
        run(credentials, ahead, {
          "/client/config": json({ pjwt_auth_enabled: true }),
          "/auth/token": [...failures.flatMap((failure) => [token, failure]), errorResponse(503), token]
        })
      )
      yield* assertSameTraining(value, expected)
      const exchanges = yield* value.http.requestsTo("/auth/token")
      assert.isAtLeast(exchanges.length, 15)
      assert.isAtMost(exchanges.length, 30, "one for each half of a lifetime and each failure")
      assert.isAtLeast(lines.filter((line) => line.includes("access token")).length, 6)
      assert.deepStrictEqual(value.rejected, [])
      const keys = new Set(exchanges.map(({ headers }) => headers["x-api-key"]))
      assert.deepStrictEqual([...keys], ["tml-key"])
    })
  )
})
