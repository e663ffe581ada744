/** The body of a response while it arrives: chunks wait for the one reader that it may have. */
import type * as Undici from "undici"

/** @internal */
export const abortError = () => new Error("the request was aborted")

/** Copies even a single chunk, which would otherwise keep its whole buffer alive. @internal */
export const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  let length = 0
  for (const chunk of chunks) length += chunk.length
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

interface Reader {
  readonly onData: (chunk: Uint8Array) => void
  readonly onEnd: () => void
  readonly onError: (cause: unknown) => void
}

// aborts a request whose response was collected as garbage before its body was read, which would hold its socket
const abandoned = new FinalizationRegistry<IncomingBody>((body) => body.abort(abortError()))

/** @internal */
export class IncomingBody {
  chunks: Array<Uint8Array> = []
  /** bytes in `chunks` */
  unread = 0
  ended = false
  reader: Reader | undefined = undefined
  controller: Undici.Dispatcher.DispatchController | undefined = undefined
  #failure: { readonly cause: unknown } | undefined = undefined

  /** Aborts the request when `holder` is collected as garbage before the body has ended. */
  abortWith(holder: object) {
    if (!this.ended) abandoned.register(holder, this, this)
  }
  push(chunk: Uint8Array) {
    if (this.reader !== undefined) return this.reader.onData(chunk)
    this.chunks.push(chunk)
    this.unread += chunk.length
  }
  end() {
    this.ended = true
    this.#settle()
    this.reader?.onEnd()
  }
  fail(cause: unknown) {
    this.#failure = { cause }
    this.#settle()
    this.reader?.onError(cause)
  }
  // the request has ended, and can no longer be aborted
  #settle() {
    this.controller = undefined
    abandoned.unregister(this)
  }
  read(reader: Reader) {
    this.reader = reader
    const chunks = this.chunks
    this.chunks = []
    this.unread = 0
    for (const chunk of chunks) reader.onData(chunk)
    if (this.#failure !== undefined) return reader.onError(this.#failure.cause)
    if (this.ended) return reader.onEnd()
    this.resume()
  }
  resume() {
    if (this.controller?.paused === true) this.controller.resume()
  }
  abort(reason: Error) {
    this.controller?.abort(reason)
  }
}
