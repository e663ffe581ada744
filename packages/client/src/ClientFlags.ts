/**
 * What the service wants of its clients, with the defaults filled in: nothing here is `undefined`.
 *
 * @since 0.1.0
 */
import * as Api from "@effect-tinker/api/Session"

type Filled<Defaults, Response> = {
  readonly [K in keyof Defaults & keyof Response]-?: NonNullable<Response[K]>
}

/**
 * The flags that are asked for once, when a client starts. Sizes are bytes, the pause is seconds; `docs/wire.md` §3.1
 * says what each of them does.
 *
 * @since 0.1.0
 * @category models
 */
export type ClientConfig = Filled<typeof Api.clientDefaults, Api.ClientConfigResponse>

/**
 * The flags that a running client asks for again and again: how often (seconds), and whether, and how many at a time, it
 * cancels samples that nobody waits for.
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
 * What a service without flags of its own gets.
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
