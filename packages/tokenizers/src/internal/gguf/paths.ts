/** Tells GGUF files by their paths. */

/** @internal */
export const isPath = (path: string): boolean =>
  path.endsWith(".gguf") || /[\\/]blobs[\\/]sha256-[0-9a-f]{64}$/.test(path)
