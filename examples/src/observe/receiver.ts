/** A receiver of OpenTelemetry's HTTP protocol (JSON), which keeps what it is sent in memory. */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"

const Attributes = Schema.Array(Schema.Struct({ key: Schema.String, value: Schema.Unknown }))

const Span = Schema.Struct({
  traceId: Schema.String,
  spanId: Schema.String,
  parentSpanId: Schema.optional(Schema.String),
  name: Schema.String,
  startTimeUnixNano: Schema.String,
  endTimeUnixNano: Schema.String,
  attributes: Attributes,
  events: Schema.Array(Schema.Struct({ name: Schema.String }))
})

const Point = Schema.Struct({ attributes: Attributes })
const Points = Schema.Struct({ dataPoints: Schema.Array(Point), isMonotonic: Schema.optional(Schema.Boolean) })

const MetricData = Schema.Struct({
  name: Schema.String,
  unit: Schema.String,
  sum: Schema.optional(Points),
  gauge: Schema.optional(Points),
  histogram: Schema.optional(Points)
})

const Traces = Schema.Struct({
  resourceSpans: Schema.Array(Schema.Struct({ scopeSpans: Schema.Array(Schema.Struct({ spans: Schema.Array(Span) })) }))
})

const Metrics = Schema.Struct({
  resourceMetrics: Schema.Array(
    Schema.Struct({ scopeMetrics: Schema.Array(Schema.Struct({ metrics: Schema.Array(MetricData) })) })
  )
})

export type Span = typeof Span.Type

/** A metric by its name: its kind and unit. */
export interface MetricInfo {
  readonly name: string
  readonly kind: string
  readonly unit: string
}

const infoOf = ({ gauge, histogram, name, sum, unit }: typeof MetricData.Type): MetricInfo => {
  const kind =
    histogram === undefined
      ? gauge === undefined
        ? sum?.isMonotonic === true
          ? "counter"
          : "sum"
        : "gauge"
      : "histogram"
  return { name, kind, unit }
}

/** Starts the receiver. Returns its URL, and what has arrived so far. */
export const start = Effect.gen(function* () {
  const spans: Array<Span> = []
  const metrics = new Map<string, MetricInfo>()
  const accepted = HttpServerResponse.unsafeJson({})
  const app = HttpRouter.empty.pipe(
    HttpRouter.post(
      "/v1/traces",
      Effect.map(HttpServerRequest.schemaBodyJson(Traces), ({ resourceSpans }) => {
        for (const { scopeSpans } of resourceSpans) for (const scope of scopeSpans) spans.push(...scope.spans)
        return accepted
      })
    ),
    HttpRouter.post(
      "/v1/metrics",
      Effect.map(HttpServerRequest.schemaBodyJson(Metrics), ({ resourceMetrics }) => {
        const all = resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
        for (const metric of all) metrics.set(metric.name, infoOf(metric))
        return accepted
      })
    ),
    HttpRouter.post("/v1/logs", Effect.succeed(accepted)),
    Effect.catchAllCause((cause) => Effect.as(Effect.logError(cause), HttpServerResponse.empty({ status: 400 })))
  )
  const context = yield* Layer.build(
    HttpServer.serve(app as HttpApp.Default).pipe(Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0 })))
  )
  const url = yield* Effect.provide(
    HttpServer.addressFormattedWith((address) => Effect.succeed(address)),
    context
  )
  return { url: url.replace("0.0.0.0", "127.0.0.1"), spans, metrics }
})
