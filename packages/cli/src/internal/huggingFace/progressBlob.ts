/** A blob that reports how much of it was read, which is how much of it was sent. */

/**
 * Reads as `source` does. `fetch` takes the length from `size` and the bytes from `stream()`, so the request has a
 * content length, which a stream as its body has not.
 * @internal
 */
export class ProgressBlob extends Blob {
  private readonly source: Blob
  private readonly onRead: (bytes: number) => void
  constructor(source: Blob, onRead: (bytes: number) => void) {
    super()
    this.source = source
    this.onRead = onRead
  }
  override get size(): number {
    return this.source.size
  }
  override get type(): string {
    return this.source.type
  }
  override stream(): ReturnType<Blob["stream"]> {
    let read = 0
    return this.source.stream().pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform: (chunk, controller) => {
          this.onRead((read += chunk.length))
          controller.enqueue(chunk)
        }
      })
    )
  }
  override arrayBuffer(): Promise<ArrayBuffer> {
    return this.source.arrayBuffer()
  }
  override text(): Promise<string> {
    return this.source.text()
  }
  override slice(start?: number, end?: number, type?: string): Blob {
    return this.source.slice(start, end, type)
  }
}
