/** The SDK over a NodeHttpClient that is wrapped in the ordinary way, as a program does to add a header. */
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { run } from "./program.ts"

const wrapped = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(HttpClient.HttpClient, HttpClient.mapRequest(HttpClientRequest.setHeader("x-team", "blue")))
)

await run(wrapped.pipe(Layer.provide(NodeHttpClient.layer)))
