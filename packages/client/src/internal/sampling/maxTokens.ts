/** The default of `max_tokens`, which some services require: the rest of the model's context. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import type { SampleOptions } from "./options.ts"

/** where the length of the context is not known */
const withoutContext = 512

const policy: RetryPolicy.RetryPolicy = { ...RetryPolicy.never, timeout: "10 seconds" }
const noPayload = undefined as never

/** The length of the context of a base model, if the service reports it. */
const contextOf = (client: TinkerClient.Service, baseModel: string): Effect.Effect<number | undefined> =>
  client.call(TinkerApi.getServerCapabilities, noPayload, { policy }).pipe(
    Effect.map(
      ({ supported_models }) => supported_models.find(({ model_name }) => model_name === baseModel)?.max_context_length
    ),
    Effect.orElseSucceed(() => undefined)
  )

const baseModelOf = (client: TinkerClient.Service, sampler_id: string): Effect.Effect<string | undefined> =>
  client.call(TinkerApi.getSampler, noPayload, { policy, path: { sampler_id } }).pipe(
    Effect.map(({ base_model }) => base_model),
    Effect.orElseSucceed(() => undefined)
  )

/** The length of the context that a sampling session has, requested once. @internal */
export const contextLength = (
  client: TinkerClient.Service,
  samplingSessionId: string,
  baseModel: string | undefined
): Effect.Effect<Effect.Effect<number | undefined>> =>
  Effect.cached(
    Effect.flatMap(
      baseModel === undefined ? baseModelOf(client, samplingSessionId) : Effect.succeed(baseModel),
      (name) => (name === undefined ? Effect.succeed(undefined) : contextOf(client, name))
    )
  )

/** @internal */
export const isGiven = ({ sampling_params }: SampleOptions): boolean =>
  sampling_params?.max_tokens !== undefined && sampling_params.max_tokens !== null

/** The options with a `max_tokens`. A prompt that leaves no room is rejected by the service. @internal */
export const withMaxTokens = (
  options: SampleOptions,
  prompt: ModelInput.ModelInput,
  context: number | undefined
): SampleOptions => {
  const length = ModelInput.lengthEither(prompt)
  const max_tokens =
    context === undefined || Either.isLeft(length) ? withoutContext : Math.max(1, context - length.right)
  return { ...options, sampling_params: { ...options.sampling_params, max_tokens } }
}
