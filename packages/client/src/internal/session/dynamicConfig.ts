/** Keeps the service's dynamic configuration up to date. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import * as ClientFlags from "../../ClientFlags.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import { version } from "../util/version.ts"
import { singleAttempt } from "./policies.ts"

const minRefreshSeconds = 10

/** Requests the configuration. If that fails, as it does on services without one, the last values are kept. @internal */
export const refresh = (
  client: TinkerClient.Service,
  config: Ref.Ref<ClientFlags.DynamicConfig>
): Effect.Effect<void> =>
  client.call(TinkerApi.clientDynamicConfig, { sdk_version: version }, { policy: singleAttempt }).pipe(
    Effect.flatMap((response) => Ref.set(config, ClientFlags.fromDynamicConfig(response))),
    Effect.catchAll((error) => Effect.logDebug(`the dynamic configuration is unchanged: ${error.message}`))
  )

/** Refreshes the configuration forever, at the interval that it sets itself. @internal */
export const refreshForever = (
  client: TinkerClient.Service,
  config: Ref.Ref<ClientFlags.DynamicConfig>
): Effect.Effect<never> =>
  Effect.flatMap(Ref.get(config), ({ refresh_interval_sec }) =>
    Effect.sleep(Duration.seconds(Math.max(refresh_interval_sec, minRefreshSeconds)))
  ).pipe(Effect.andThen(refresh(client, config)), Effect.forever)
