/**
 * Sends the requests to any host to one server, such as a service in another process, whose URL is not known before it
 * runs.
 *
 * @since 0.1.0
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * A client that sends all requests to the server at this URL, such as `http://127.0.0.1:8700`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const redirect = (http: HttpClient.HttpClient, url: string): HttpClient.HttpClient =>
  HttpClient.mapRequest(http, (request) =>
    HttpClientRequest.setUrl(request, request.url.replace(/^https?:\/\/[^/]+/, url))
  )

/**
 * Such a client over `fetch`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (url: string): Layer.Layer<HttpClient.HttpClient> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (http) => redirect(http, url))
  ).pipe(Layer.provide(FetchHttpClient.layer))
