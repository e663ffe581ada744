/** Which of the routes that the command uses beside training a service has. */
import type * as RestClient from "@effect-tinker/client/RestClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Check } from "./check.ts"

interface Subject {
  readonly run: string
  /** a saved checkpoint, if there is one */
  readonly checkpoint: string | undefined
}

/** Each route with a request that changes nothing. */
const questions = (rest: RestClient.Service, { checkpoint, run }: Subject) => ({
  "run list": rest.listTrainingRuns({ limit: 1 }),
  "run info": rest.getTrainingRun(run),
  "checkpoint list": rest.listUserCheckpoints({ limit: 1 }),
  "checkpoint list --run-id": rest.listCheckpoints(run),
  sessions: rest.listSessions({ limit: 1 }),
  ...(checkpoint === undefined
    ? {}
    : {
        "checkpoint info": rest.getWeightsInfo(checkpoint),
        "checkpoint download": rest.getCheckpointArchiveUrl(checkpoint, { atMost: "5 seconds" })
      })
})

/** @internal */
export const routesCheck = (rest: RestClient.Service, subject: Subject): Effect.Effect<Check> =>
  Effect.gen(function* () {
    const missing: Array<string> = []
    const present: Array<string> = []
    for (const [name, question] of Object.entries(questions(rest, subject))) {
      const answer = yield* Effect.either(Effect.asVoid(question as Effect.Effect<unknown, unknown>))
      if (Either.isRight(answer)) present.push(name)
      else missing.push(name)
    }
    return {
      name: "routes",
      status: missing.length === 0 ? ("ok" as const) : ("warning" as const),
      detail: present.join(", ") + (missing.length === 0 ? "" : `; not ${missing.join(", ")}`)
    }
  })
