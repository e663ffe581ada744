/** Polls for the trace of a session until the service has built it. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as TinkerClient from "../../TinkerClient.ts"
import * as inputs from "./inputs.ts"
import type * as options from "./options.ts"
import type { DurationInput } from "../util/duration.ts"

/** @internal */
export interface Options {
  /** the pause between two polls; 5 seconds by default */
  readonly every?: DurationInput | undefined
  /** how long to poll; 30 minutes by default */
  readonly atMost?: DurationInput | undefined
}

const method = "exportSessionTrace"

const failed = (reason: string, category: "server" | "unknown") =>
  new TinkerError.RequestFailed({ method, reason, category })

const pollTrace = (
  client: TinkerClient.Service,
  session_id: string,
  every: DurationInput
): options.RestEffect<string> =>
  Effect.gen(function* () {
    while (true) {
      const { error, status, url } = yield* client.call(TinkerApi.exportSessionTrace, inputs.noPayload, {
        method,
        path: { session_id }
      })
      if (status === "failed") return yield* failed(error ?? "the service gave no reason", "server")
      if (status === "ready") {
        return url === undefined ? yield* failed("the trace is ready, but has no URL", "server") : url
      }
      yield* Effect.sleep(every)
    }
  })

/** @internal */
export const exportSessionTrace = (
  client: TinkerClient.Service,
  session_id: string,
  { every = "5 seconds", atMost = "30 minutes" }: Options = {}
): options.RestEffect<string> =>
  Effect.timeoutFail(pollTrace(client, session_id, every), {
    duration: atMost,
    onTimeout: () => failed(`the trace is still not ready after ${Duration.format(Duration.decode(atMost))}`, "unknown")
  })
