/** How large the body of a request may be: megabytes, but for passes, which carry data. */

/** In bytes. @internal */
export interface BodyLimits {
  /** JSON of every endpoint that is not named below */
  readonly json: number
  /** JSON of a sample request, whose prompt may hold images */
  readonly sample: number
  /** JSON of `forward` and `forward_backward` */
  readonly jsonPass: number
  /** protobuf of `forward_backward` */
  readonly protobufPass: number
  /** a body that is compressed, before decompression */
  readonly compressed: number
  /** the same after decompression; the limit of its endpoint holds as well */
  readonly decompressed: number
}

const mebi = 1024 * 1024

/** @internal */
export const defaults: BodyLimits = {
  json: 4 * mebi,
  sample: 16 * mebi,
  // parsing is synchronous, so JSON is bounded far below protobuf
  jsonPass: 32 * mebi,
  protobufPass: 256 * mebi,
  compressed: 64 * mebi,
  decompressed: 256 * mebi
}

/** The last part of a URL's path, which names the endpoint behind any base path. */
const endpointOf = (url: string): string => /\/(\w+)(?:\?.*)?$/s.exec(url)?.[1] ?? ""

/** The largest size of a body, after decompression. @internal */
export const limitOf = (limits: BodyLimits, url: string, isProtobuf: boolean): number => {
  if (isProtobuf) return limits.protobufPass
  switch (endpointOf(url)) {
    case "forward":
    case "forward_backward":
      return limits.jsonPass
    case "asample":
      return limits.sample
    default:
      return limits.json
  }
}
