/** Endpoints that create samplers, describe them and sample from them. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as Schema from "effect/Schema"
import * as Future from "../../Future.ts"
import * as Sampling from "../../Sampling.ts"

/**
 * Creates a sampler of a base model or of saved weights.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const createSamplingSession = HttpApiEndpoint.post("createSamplingSession", "/create_sampling_session")
  .setPayload(Sampling.CreateSamplingSessionRequest)
  .addSuccess(Sampling.CreateSamplingSessionResponse)

/**
 * Assigns the caller a client number within a sampling session.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const joinSamplingSession = HttpApiEndpoint.post("joinSamplingSession", "/join_sampling_session")
  .setPayload(Sampling.JoinSamplingSessionRequest)
  .addSuccess(Sampling.JoinSamplingSessionResponse)

/**
 * Returns a future of `Sampling.SampleResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const asample = HttpApiEndpoint.post("asample", "/asample")
  .setPayload(Sampling.SampleRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * Describes what a sampler samples from.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const getSampler = HttpApiEndpoint.get("getSampler", "/samplers/:sampler_id")
  .setPath(Schema.Struct({ sampler_id: Schema.String }))
  .addSuccess(Sampling.GetSamplerResponse)

/**
 * The endpoints that create samplers, describe them and sample from them.
 *
 * @since 0.1.0
 * @category groups
 */
export const SamplingGroup = HttpApiGroup.make("sampling")
  .add(createSamplingSession)
  .add(joinSamplingSession)
  .add(asample)
  .add(getSampler)
