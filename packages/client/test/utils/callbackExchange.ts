/** An Exchange that calls back outside of the fiber that sends, and keeps the timeouts itself, as undici's does. */
import * as HttpClient from "@effect/platform/HttpClient"
import { Cause, Effect, Exit, Option, Runtime } from "effect"
import type { Exchange } from "../../src/internal/transport/exchange.ts"
import { failureOf } from "../../src/internal/network/failure.ts"
import { register } from "../../src/internal/transport/exchangeOf.ts"
import { toBuffered, toClientRequest } from "../../src/internal/transport/httpClientExchange.ts"

const makeExchange = (http: HttpClient.HttpClient, runtime: Runtime.Runtime<never>): Exchange => ({
  headers: [],
  send: (request, { maxBytes, timeoutMillis }, handler) => {
    const response = http.execute(toClientRequest(request)).pipe(
      Effect.flatMap((response) => toBuffered(response, maxBytes)),
      Effect.timeoutFail({
        duration: timeoutMillis,
        onTimeout: () => Object.assign(new Error("timeout"), { cause: { code: "UND_ERR_HEADERS_TIMEOUT" } })
      })
    )
    let isReleased = false
    const fiber = Runtime.runFork(runtime)(response, { immediate: false })
    fiber.addObserver((exit) => {
      if (isReleased) return
      if (Exit.isSuccess(exit)) return handler.onResponse(exit.value)
      const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
      handler.onFailure(failureOf(error?.cause))
    })
    return {
      release: () => {
        isReleased = true
        fiber.unsafeInterruptAsFork(fiber.id())
      }
    }
  }
})

/** A client that does what `http` does, and has such an exchange. */
export const withCallbackExchange = (http: HttpClient.HttpClient): Effect.Effect<HttpClient.HttpClient> =>
  Effect.map(Effect.runtime<never>(), (runtime) =>
    register(
      HttpClient.mapRequest(http, (request) => request),
      makeExchange(http, runtime)
    )
  )
