/** Chooses the exchange of an HttpClient: the one registered with it, else an adapter over it. */
import type * as HttpClient from "@effect/platform/HttpClient"
import type { Exchange } from "./exchange.ts"
import type { ProxyHint } from "../network/proxyHint.ts"
import * as httpClientExchange from "./httpClientExchange.ts"

// Keyed by the identity of the client. A wrapped client is another object, so it gets the adapter, and its wrapper is
// never bypassed.
const exchanges = new WeakMap<HttpClient.HttpClient, Exchange>()

/** Sends the requests of `client` by `exchange`; both must send them in the same way. @internal */
export const register = (client: HttpClient.HttpClient, exchange: Exchange): HttpClient.HttpClient => {
  exchanges.set(client, exchange)
  return client
}

/**
 * The exchange that was registered with this very client, or an adapter over it. `secretNames` are headers whose values
 * no span shows. `proxyHint` is what a user of `fetch` needs to know about proxies. With `httpSpans` it is always the adapter,
 * whose `HttpClient` makes them.
 *
 * @internal
 */
export const exchangeOf = (
  client: HttpClient.HttpClient,
  secretNames: ReadonlyArray<string>,
  { httpSpans = false, proxyHint }: { readonly httpSpans?: boolean; readonly proxyHint?: ProxyHint } = {}
): Exchange =>
  (httpSpans ? undefined : exchanges.get(client)) ?? httpClientExchange.make(client, secretNames, proxyHint)
