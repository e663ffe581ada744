import * as HttpClient from "@effect/platform/HttpClient"
import { Cause, Effect, Exit, Option, Runtime } from "effect"
import { direct, type Direct, toPlatform } from "../../src/internal/transport/exchange.ts"

/**
 * Gives a client the short way that the transport for Node has, over what the client does: with callbacks, which come
 * outside of the fiber that asked, and with the time kept by itself.
 */
export const withShortWay = (http: HttpClient.HttpClient): Effect.Effect<HttpClient.HttpClient> =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    const short: Direct = {
      [direct]: {
        headers: [],
        ask: (request, millis, then) => {
          const answer = http.execute(toPlatform(request)).pipe(
            Effect.flatMap((response) =>
              Effect.map(response.arrayBuffer, (body) => ({
                status: response.status,
                headers: response.headers,
                body: new Uint8Array(body)
              }))
            ),
            Effect.timeoutFail({
              duration: millis,
              onTimeout: () => Object.assign(new Error("timeout"), { cause: { code: "UND_ERR_HEADERS_TIMEOUT" } })
            })
          )
          let left = false
          const fiber = Runtime.runFork(runtime)(answer)
          fiber.addObserver((exit) => {
            if (left) return
            if (Exit.isSuccess(exit)) return then.onAnswer(exit.value)
            const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
            then.onNone(error?.cause)
          })
          return {
            leave: () => {
              left = true
              fiber.unsafeInterruptAsFork(fiber.id())
            }
          }
        }
      }
    }
    return Object.assign(
      HttpClient.mapRequest(http, (request) => request),
      short
    )
  })
