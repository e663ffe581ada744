/** Sends the spans and metrics of this process to a collector, as any Effect program does. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

interface Otlp {
  readonly layerJson: (options: {
    readonly baseUrl: string
    readonly resource: { readonly serviceName: string }
  }) => Layer.Layer<never, never, HttpClient.HttpClient>
}

// in a program of your own: import * as Otlp from "@effect/opentelemetry/Otlp"
const load = Effect.promise(() => import("@effect/opentelemetry/Otlp" as string) as Promise<Otlp>)

export const layer = (baseUrl: string, serviceName: string): Layer.Layer<never> =>
  Layer.unwrapEffect(Effect.map(load, (otlp) => otlp.layerJson({ baseUrl, resource: { serviceName } }))).pipe(
    Layer.provide(FetchHttpClient.layer)
  )
