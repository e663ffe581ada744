/// <reference types="node" />
/** Connects to an https origin through a proxy: CONNECT, then TLS with the origin. */
import * as Redacted from "effect/Redacted"
import * as Undici from "undici"
import { causesOf, certificateProblem, codeOf, connectionProblem } from "../../network/problem.ts"
import { ProxyError } from "../../network/proxyError.ts"
import type { Proxy } from "../../network/proxySettings.ts"

/** What the proxy's refusal asks for. */
const adviceOf = (proxy: Proxy, status: number): string => {
  if (status === 407) {
    return proxy.authorization === undefined
      ? `give it a user name and a password: ${proxy.variable}=http://user:password@host:port`
      : `check the user name and the password in ${proxy.variable}`
  }
  if (status >= 500) return "check that it can reach the host"
  return "it may not allow this host: ask its operator, or name the host in NO_PROXY"
}

/** @internal */
export const refused = (proxy: Proxy, status: number): ProxyError =>
  new ProxyError({
    proxy: proxy.origin,
    variable: proxy.variable,
    status,
    reason: `responded with ${status}: ${adviceOf(proxy, status)}`
  })

/** The error of a connection to the proxy itself. @internal */
export const unreachable = ({ origin, variable }: Proxy, cause: unknown): ProxyError => {
  const code = codeOf(causesOf(cause)) ?? "no reason given"
  const problem = certificateProblem(code) ?? connectionProblem(code) ?? code
  return new ProxyError({ proxy: origin, variable, reason: `cannot be reached: ${problem}`, cause })
}

/** @internal */
export const headersFor = ({ authorization }: Proxy): Record<string, string> =>
  authorization === undefined ? {} : { "proxy-authorization": Redacted.value(authorization) }

const open = async (toProxy: Undici.Pool, proxy: Proxy, authority: string) => {
  try {
    return await toProxy.connect({ path: authority, headers: { host: authority, ...headersFor(proxy) } })
  } catch (cause) {
    throw unreachable(proxy, cause)
  }
}

/** A connector for undici that connects through the proxy. `toProxy` connects to the proxy itself. @internal */
export const connectThrough = (
  toProxy: Undici.Pool,
  proxy: Proxy,
  tls: Undici.buildConnector.BuildOptions
): Undici.buildConnector.connector => {
  const secure = Undici.buildConnector(tls)
  return (options, callback) => {
    const authority = options.port === "" ? `${options.host}:443` : options.host!
    open(toProxy, proxy, authority).then(
      ({ socket, statusCode }) => {
        if (statusCode === 200) return secure({ ...options, httpSocket: socket as never }, callback)
        // the proxy's explanation is not read
        socket.on("error", () => undefined).destroy()
        callback(refused(proxy, statusCode), null)
      },
      (error: ProxyError) => callback(error, null)
    )
  }
}
