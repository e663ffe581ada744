/// <reference types="node" />
/** Content encodings that Node can decode. */
import type { Transform } from "node:stream"
import * as Zlib from "node:zlib"

// Node has zstd from 22.15 on
const zlib = Zlib as typeof Zlib & { readonly createZstdDecompress?: () => Transform }
const decoders: { readonly [encoding: string]: (() => Transform) | undefined } = {
  gzip: () => zlib.createGunzip(),
  "x-gzip": () => zlib.createGunzip(),
  deflate: () => zlib.createInflate(),
  br: () => zlib.createBrotliDecompress(),
  zstd: zlib.createZstdDecompress
}

/** The value of `accept-encoding`. @internal */
export const acceptEncoding = decoders["zstd"] === undefined ? "gzip, deflate, br" : "gzip, deflate, br, zstd"

/** The decoder for a `content-encoding`; `undefined` where there is none, or where it is not known. @internal */
export const decoderFor = (contentEncoding: string | undefined): (() => Transform) | undefined =>
  contentEncoding === undefined ? undefined : decoders[contentEncoding.trim().toLowerCase()]
