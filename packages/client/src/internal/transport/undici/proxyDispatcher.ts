/// <reference types="node" />
/**
 * A dispatcher that goes through the proxies of the environment: by CONNECT to https origins, by absolute URLs to http
 * origins, and directly to what `NO_PROXY` names and to this computer.
 */
import * as Undici from "undici"
import { ProxyError } from "../../network/proxyError.ts"
import { type Proxy, proxyFor, type Settings } from "../../network/proxySettings.ts"
import { connectThrough, headersFor, refused, unreachable } from "./tunnel.ts"

type Controller = Undici.Dispatcher.DispatchController
type ReceivedHeaders = Parameters<NonNullable<Undici.Dispatcher.DispatchHandler["onResponseStart"]>>[2]

/** What undici's base class has, which its types leave out. */
interface Decorator {
  onResponseStart(controller: Controller, status: number, headers: ReceivedHeaders, text?: string): void
  onResponseError(controller: Controller, error: Error): void
}

const Decorator = Undici.DecoratorHandler as unknown as new (
  handler: Undici.Dispatcher.DispatchHandler
) => Decorator & Undici.Dispatcher.DispatchHandler

/** Errors of undici that mean that there was no connection. */
const connectCodes = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"])

const isOfConnecting = (error: Error & { readonly code?: string; readonly syscall?: string }): boolean =>
  error.syscall === "connect" || connectCodes.has(error.code ?? "") || error.code === "UND_ERR_CONNECT_TIMEOUT"

/** Tells the failures of a proxy from those of the service. */
class ProxiedHandler extends Decorator {
  readonly #proxy: Proxy

  constructor(proxy: Proxy, handler: Undici.Dispatcher.DispatchHandler) {
    super(handler)
    this.#proxy = proxy
  }

  override onResponseStart(controller: Controller, status: number, headers: ReceivedHeaders, text?: string) {
    if (status === 407) controller.abort(refused(this.#proxy, status))
    else super.onResponseStart(controller, status, headers, text)
  }

  override onResponseError(controller: Controller, error: Error) {
    super.onResponseError(controller, isOfConnecting(error) ? unreachable(this.#proxy, error) : error)
  }
}

type Headers = Undici.Dispatcher.DispatchOptions["headers"]

/** The names and values of headers in any form that undici takes. */
const pairsOf = (headers: Headers): Array<string> => {
  if (headers === undefined || headers === null) return []
  if (Array.isArray(headers)) return [...(headers as Array<string>)]
  const entries =
    Symbol.iterator in headers
      ? Array.from(headers as Iterable<[string, string | Array<string> | undefined]>)
      : Object.entries(headers as Record<string, string | Array<string> | undefined>)
  return entries.flatMap(([name, value]) => {
    if (value === undefined) return []
    return typeof value === "string" ? [name, value] : value.flatMap((one) => [name, one])
  })
}

/** The headers of a request to a proxy. Without a `host`, undici would write that of the proxy. */
const proxiedHeaders = (proxy: Proxy, url: URL, headers: Headers): Array<string> => {
  const pairs = pairsOf(headers)
  const hasHost = pairs.some((text, i) => i % 2 === 0 && text.toLowerCase() === "host")
  if (!hasHost) pairs.push("host", url.host)
  for (const [name, value] of Object.entries(headersFor(proxy))) pairs.push(name, value)
  return pairs
}

/** @internal */
export interface ConnectionSettings {
  readonly connections: number | null
  readonly pipelining: number
  readonly keepAliveTimeout: number
  readonly connect: { readonly timeout: number; readonly ca?: string }
}

/** The connections through one proxy. */
interface Route {
  /** to the proxy itself */
  readonly plain: Undici.Pool
  /** to https origins */
  readonly tunnels: Undici.Agent
}

const makeRoute = (proxy: Proxy, { connect, ...options }: ConnectionSettings): Route => {
  // a proxy that does not respond to CONNECT is given up as early as one that does not accept connections
  const plain = new Undici.Pool(proxy.origin, { ...options, connect, headersTimeout: connect.timeout })
  return { plain, tunnels: new Undici.Agent({ ...options, connect: connectThrough(plain, proxy, connect) }) }
}

/** @internal */
export class ProxyDispatcher extends Undici.Dispatcher {
  readonly #settings: Settings
  readonly #options: ConnectionSettings
  readonly #direct: Undici.Agent
  /** by the variable of the proxy */
  readonly #routes = new Map<string, Route>()

  constructor(settings: Settings, options: ConnectionSettings) {
    super()
    this.#settings = settings
    this.#options = options
    this.#direct = new Undici.Agent(options)
  }

  override dispatch(options: Undici.Dispatcher.DispatchOptions, handler: Undici.Dispatcher.DispatchHandler): boolean {
    const url = new URL(options.origin!)
    const proxy = proxyFor(this.#settings, url)
    if (proxy === undefined) return this.#direct.dispatch(options, handler)
    if (proxy.problem !== undefined) {
      const { origin, problem, variable } = proxy
      const error = new ProxyError({ proxy: origin, variable, reason: problem })
      new ProxiedHandler(proxy, handler).onResponseError(undefined as never, error)
      return true
    }
    const { plain, tunnels } = this.#routeOf(proxy)
    if (url.protocol === "https:") return tunnels.dispatch(options, handler)
    return plain.dispatch(
      {
        ...options,
        origin: proxy.origin,
        path: `${url.origin}${options.path}`,
        headers: proxiedHeaders(proxy, url, options.headers)
      },
      new ProxiedHandler(proxy, handler)
    )
  }

  #routeOf(proxy: Proxy): Route {
    const known = this.#routes.get(proxy.variable)
    if (known !== undefined) return known
    const route = makeRoute(proxy, this.#options)
    this.#routes.set(proxy.variable, route)
    return route
  }

  get #all(): ReadonlyArray<Undici.Dispatcher> {
    return [this.#direct, ...Array.from(this.#routes.values()).flatMap(({ plain, tunnels }) => [tunnels, plain])]
  }

  override async close(): Promise<void> {
    await Promise.all(this.#all.map((one) => one.close()))
  }

  override async destroy(): Promise<void> {
    await Promise.all(this.#all.map((one) => one.destroy()))
  }
}
