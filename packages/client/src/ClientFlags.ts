/**
 * The flags by which a service configures its clients, with defaults for those that it does not set.
 *
 * @since 0.1.0
 */
import * as Api from "@effect-tinker/api/Session"

type Filled<Defaults, Response> = {
  readonly [K in keyof Defaults & keyof Response]-?: NonNullable<Response[K]>
}

/**
 * The flags that a client requests once, when it starts. Sizes are bytes, the pause is seconds. `docs/wire.md` §3.1
 * describes each of them.
 *
 * @since 0.1.0
 * @category models
 */
export type ClientConfig = Filled<typeof Api.clientDefaults, Api.ClientConfigResponse>

/**
 * The flags that a running client refreshes: the interval (seconds), whether it cancels abandoned samples, and how many
 * at a time.
 *
 * @since 0.1.0
 * @category models
 */
export type DynamicConfig = Filled<typeof Api.dynamicDefaults, Api.ClientDynamicConfigResponse>

const fill = <Defaults extends object>(defaults: Defaults, given: object): Defaults =>
  Object.assign({ ...defaults }, Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)))

/**
 * @since 0.1.0
 * @category conversions
 */
export const fromClientConfig = (response: Api.ClientConfigResponse): ClientConfig =>
  fill<ClientConfig>(Api.clientDefaults, response)

/**
 * @since 0.1.0
 * @category conversions
 */
export const fromDynamicConfig = (response: Api.ClientDynamicConfigResponse): DynamicConfig =>
  fill<DynamicConfig>(Api.dynamicDefaults, response)

/**
 * The flags of a service that has none.
 *
 * @since 0.1.0
 * @category constants
 */
export const clientDefaults: ClientConfig = fromClientConfig({})

/**
 * @since 0.1.0
 * @category constants
 */
export const dynamicDefaults: DynamicConfig = fromDynamicConfig({})
