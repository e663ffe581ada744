/** Sends the traces, metrics and logs of the service to an OpenTelemetry collector. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * The bundle of this module contains it. A dependency would install the SDK of OpenTelemetry with it, which its exporter
 * does not use.
 */
const load = Effect.promise(() => import("@effect/opentelemetry/Otlp"))

/** @internal */
export const layer = (baseUrl: string): Layer.Layer<never> =>
  Layer.unwrapEffect(
    Effect.map(load, (otlp) =>
      otlp.layerJson({
        baseUrl,
        resource: { serviceName: "tinker" },
        tracerExportInterval: "2 seconds",
        metricsExportInterval: "5 seconds"
      })
    )
  ).pipe(Layer.provide(FetchHttpClient.layer))
