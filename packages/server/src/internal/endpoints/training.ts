/** Handlers of the group `training`. Forward passes arrive as JSON or as protobuf. */
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as Training from "@effect-tinker/api/Training"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as TinkerService from "../../TinkerService.ts"
import * as bodies from "../http/bodies.ts"
import * as responses from "../util/responses.ts"

/** Decodes the body of forward_backward. A protobuf body may also request a forward pass only. */
const decodeForwardBackward = (request: HttpServerRequest.HttpServerRequest) =>
  bodies.isProtobuf(request)
    ? request.arrayBuffer.pipe(
        Effect.flatMap((buffer) => ProtobufCodec.decodeForwardBackwardRequest(new Uint8Array(buffer))),
        Effect.flatMap(bodies.checkFields),
        Effect.orDie
      )
    : Effect.map(
        bodies.decodeJson(request, () => Training.ForwardBackwardRequest),
        (decoded) => ({ ...decoded, forward_only: false })
      )

/** The member of the union that the fields indicate: the error of the union would list the issues of both. */
const optimStepSchema = (body: object): Schema.Schema<typeof Training.AnyOptimStepRequest.Type, unknown> =>
  ("optimizer_params" in body ? Training.OptimizerStepRequest : Training.OptimStepRequest) as never

/** @internal */
export const training = HttpApiBuilder.group(TinkerApi, "training", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
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
      .handle("createCustomLoss", () =>
        responses.badRequest(
          "this service does not run custom losses (custom_loss_server_side is off): compute them in the client"
        )
      )
  )
)
