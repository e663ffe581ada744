/** Routes for whoever runs the service, which are not part of the HTTP contract: readiness and metrics. */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as TinkerService from "../../TinkerService.ts"
import { CurrentBudget } from "../http/body/budget.ts"
import * as openPaths from "../http/openPaths.ts"
import * as metrics from "../monitoring/metrics.ts"
import * as prometheus from "../monitoring/prometheus.ts"

const ready = HttpServerResponse.unsafeJson({ status: "ready" })

const draining = HttpServerResponse.unsafeJson({ status: "draining" }, { status: 503 })

const getMetrics = ({ isDraining, levels }: TinkerService.Service) =>
  Effect.gen(function* () {
    const { checkpointBytes, ...counts } = yield* levels
    yield* metrics.setLevels({
      ...counts,
      checkpoint_bytes: checkpointBytes,
      body_bytes: (yield* CurrentBudget).used,
      draining: (yield* isDraining) ? 1 : 0
    })
    return HttpServerResponse.text(yield* prometheus.render, { contentType: prometheus.contentType })
  })

/** @internal */
export const layer: Layer.Layer<never, never, TinkerService.TinkerService> = HttpApiBuilder.Router.use((router) =>
  Effect.gen(function* () {
    const tinker = yield* TinkerService.TinkerService
    const readiness = Effect.map(tinker.isDraining, (isDraining) => (isDraining ? draining : ready))
    yield* router.get(openPaths.readiness, readiness)
    yield* router.get(openPaths.metrics, getMetrics(tinker))
  })
)
