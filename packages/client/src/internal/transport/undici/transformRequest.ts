/** Applies a user's `transformRequest` to a request. */
import type { HeaderList, PreparedRequest } from "../exchange.ts"

/**
 * The argument and the result of a `transformRequest`.
 *
 * @since 0.1.0
 * @category models
 */
export interface RequestParts {
  readonly method: string
  /** absolute, with its query */
  readonly url: string
  /** names are in lower case */
  readonly headers: { readonly [name: string]: string }
  /** `undefined` also for a body that is a stream, which cannot be transformed */
  readonly body: Uint8Array | string | undefined
}

/**
 * Changes a request before it is sent. It must not throw.
 *
 * @since 0.1.0
 * @category models
 */
export type TransformRequest = (request: RequestParts) => RequestParts

const toRecord = (list: HeaderList): Record<string, string> => {
  const headers: Record<string, string> = {}
  for (let i = 0; i < list.length; i += 2) headers[list[i]!] = list[i + 1]!
  return headers
}

const toList = (headers: RequestParts["headers"]): HeaderList => {
  const list: Array<string> = []
  for (const name in headers) list.push(name, headers[name]!)
  return list
}

/** The transformed request; `undefined` if its URL is not valid. @internal */
export const transformPrepared = (
  transform: TransformRequest,
  request: PreparedRequest
): PreparedRequest | undefined => {
  const url = `${request.origin}${request.path}`
  const changed = transform({ method: request.method, url, headers: toRecord(request.headers), body: request.body })
  const target = changed.url === url ? request : parseTarget(changed.url)
  if (target === undefined) return undefined
  return {
    method: changed.method,
    origin: target.origin,
    path: target.path,
    headers: toList(changed.headers),
    body: changed.body,
    isForeign: false
  }
}

const parseTarget = (text: string): Pick<PreparedRequest, "origin" | "path"> | undefined => {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  return { origin: url.origin, path: `${url.pathname}${url.search}` }
}
