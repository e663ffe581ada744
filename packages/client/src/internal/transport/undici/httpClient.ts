/// <reference types="node" />
/** An HttpClient over a dispatcher of undici. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Undici from "undici"
import { withCaller } from "../../effect/runtime.ts"
import { dispatch } from "./dispatch.ts"
import { type Body, bodyOf, firstHop, transformHop } from "./hop.ts"
import { follow } from "./redirects.ts"
import type { UndiciResponse } from "./response.ts"
import type { TransformRequest } from "./transformRequest.ts"

/** @internal */
export interface DispatchOptions {
  readonly timeoutMillis: number
  readonly transformRequest: TransformRequest | undefined
}

const send = (
  dispatcher: Undici.Dispatcher,
  { timeoutMillis, transformRequest }: DispatchOptions,
  request: HttpClientRequest.HttpClientRequest,
  body: Body
): Effect.Effect<UndiciResponse, HttpClientError.RequestError> =>
  withCaller((caller) => {
    const plain = firstHop(request, body)
    if (Either.isLeft(plain)) return plain.left
    const transformed = transformRequest === undefined ? plain : transformHop(transformRequest, plain.right)
    if (Either.isLeft(transformed)) return transformed.left
    const hop = transformed.right
    const init = Option.getOrUndefined(Context.getOption(caller.currentContext, FetchHttpClient.RequestInit))
    const first = dispatch(dispatcher, hop, timeoutMillis)
    return init?.redirect === "manual" || (hop.method !== "GET" && hop.method !== "HEAD")
      ? first
      : Effect.flatMap(first, (response) =>
          follow({ dispatcher, timeoutMillis, plainHeaders: plain.right.headers }, response, hop, 0)
        )
  })

/** @internal */
export const makeClient = (dispatcher: Undici.Dispatcher, options: DispatchOptions): HttpClient.HttpClient =>
  HttpClient.makeWith<HttpClientError.HttpClientError, never, HttpClientError.HttpClientError, never>(
    (request) =>
      Effect.flatMap(request, (request) => {
        const body = bodyOf(request)
        return Effect.isEffect(body)
          ? Effect.flatMap(body, (body) => send(dispatcher, options, request, body))
          : send(dispatcher, options, request, body)
      }),
    Effect.succeed
  )
