/** Serves the fine-tuning API over the embedded service: http://localhost:3000/docs shows it. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { createServer } from "node:http"
import * as FineTuning from "./api.ts"

const Service = ServiceClient.layer({ apiKey: Redacted.make("tml-local"), baseUrl: "http://embedded.invalid" }).pipe(
  Layer.provide(Embedded.layer()),
  Layer.provide(NodeContext.layer)
)

HttpApiBuilder.serve().pipe(
  Layer.provide(FineTuning.layer),
  Layer.provide(Service),
  Layer.provide(NodeHttpServer.layer(createServer, { port: 3000 })),
  Layer.launch,
  NodeRuntime.runMain
)
