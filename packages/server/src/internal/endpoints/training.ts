/** Handlers of the group `training`. Forward passes arrive as JSON or as protobuf. */
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as Training from "@effect-tinker/api/Training"
import * as Weights from "@effect-tinker/api/Weights"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as TinkerService from "../../TinkerService.ts"
import { ApiKeys } from "../auth/apiKeys.ts"
import * as bodies from "../http/bodies.ts"

/** Decodes the body of forward_backward. A protobuf body may also request a forward pass only. */
const decodeForwardBackward = (request: HttpServerRequest.HttpServerRequest) =>
  ProtobufCodec.isProtobuf(request.headers["content-type"])
    ? request.arrayBuffer.pipe(
        Effect.flatMap((buffer) => ProtobufCodec.decodeForwardBackwardRequest(new Uint8Array(buffer))),
        Effect.orDie
      )
    : Effect.map(
        bodies.decodeJson(request, () => Training.ForwardBackwardRequest),
        (decoded) => ({ ...decoded, forward_only: false })
      )

// a union's error would list the issues of both members: the fields decide which one is meant

const optimStepSchema = (body: object): Schema.Schema<typeof Training.AnyOptimStepRequest.Type, unknown> =>
  ("optimizer_params" in body ? Training.OptimizerStepRequest : Training.OptimStepRequest) as never

const loadWeightsSchema = (body: object): Schema.Schema<typeof Weights.AnyLoadWeightsRequest.Type, unknown> =>
  ("session_id" in body && !("model_id" in body)
    ? Weights.CreateFromWeightsRequest
    : Weights.LoadWeightsRequest) as never

/** @internal */
export const training = HttpApiBuilder.group(TinkerApi, "training", (handlers) =>
  Effect.map(Effect.all([TinkerService.TinkerService, ApiKeys]), ([tinker, { withAccess }]) =>
    handlers
      .handleRaw("forwardBackward", ({ request }) =>
        Effect.flatMap(decodeForwardBackward(request), ({ forward_only, ...decoded }) =>
          forward_only
            ? tinker.forward({ ...decoded, forward_input: decoded.forward_backward_input })
            : tinker.forwardBackward(decoded)
        )
      )
      .handle("forward", ({ payload }) => tinker.forward(payload))
      .handleRaw("optimStep", ({ request }) =>
        Effect.flatMap(bodies.decodeJson(request, optimStepSchema), tinker.optimStep)
      )
      .handle("saveWeights", ({ payload }) => tinker.saveWeights(payload))
      .handle("saveWeightsForSampler", ({ payload }) => tinker.saveWeightsForSampler(payload))
      .handleRaw("loadWeights", ({ request }) =>
        Effect.flatMap(bodies.decodeJson(request, loadWeightsSchema), (payload) =>
          withAccess(tinker.loadWeights(payload), payload.weights_access_token)
        )
      )
  )
)
