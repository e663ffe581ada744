/** The context lengths of the base models, which the service is asked for once in a session. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Session from "../../Session.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import { singleAttempt } from "./policies.ts"

type Lengths = ReadonlyMap<string, number>

const known = new WeakMap<Session.Service, Deferred.Deferred<Lengths>>()

/** The lengths by the names of the models; none if the service does not say. */
const request = (client: TinkerClient.Service): Effect.Effect<Lengths> =>
  client.call(TinkerApi.getServerCapabilities, undefined as never, { policy: singleAttempt }).pipe(
    Effect.map(({ supported_models }) => {
      const lengths = new Map<string, number>()
      for (const { max_context_length, model_name } of supported_models) {
        if (model_name !== undefined && max_context_length !== undefined) lengths.set(model_name, max_context_length)
      }
      return lengths
    }),
    Effect.catchAll((error) =>
      Effect.as(Effect.logDebug(`the lengths of inputs are not checked: ${error.message}`), new Map<string, number>())
    )
  )

const requested = (client: TinkerClient.Service, session: Session.Service): Effect.Effect<Lengths> =>
  Effect.suspend(() => {
    const before = known.get(session)
    if (before !== undefined) return Deferred.await(before)
    return Effect.flatMap(Deferred.make<Lengths>(), (lengths) => {
      known.set(session, lengths)
      return Effect.flatMap(Effect.forkIn(Effect.intoDeferred(request(client), lengths), session.scope), () =>
        Deferred.await(lengths)
      )
    })
  })

/**
 * The context length of a base model, in tokens; `undefined` if the service does not say, or does not respond at once.
 *
 * @internal
 */
export const of = (
  client: TinkerClient.Service,
  session: Session.Service,
  baseModel: string
): Effect.Effect<number | undefined> => Effect.map(requested(client, session), (lengths) => lengths.get(baseModel))
