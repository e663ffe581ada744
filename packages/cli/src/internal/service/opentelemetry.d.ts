/** The part of `@effect/opentelemetry/Otlp` that is used: its own types need the types of OpenTelemetry's SDK. */

declare module "@effect/opentelemetry/Otlp" {
  import type * as HttpClient from "@effect/platform/HttpClient"
  import type * as Layer from "effect/Layer"

  export const layerJson: (options: {
    readonly baseUrl: string
    readonly resource: { readonly serviceName: string }
    readonly tracerExportInterval: string
    readonly metricsExportInterval: string
  }) => Layer.Layer<never, never, HttpClient.HttpClient>
}
