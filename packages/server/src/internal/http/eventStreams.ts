/** Responses that are sent piece by piece, for as long as something happens. */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"

/** Marks responses that must not be collected in memory. */
const header = "x-accel-buffering"

/** Whether a response is one of these. @internal */
export const isEventStream = ({ headers }: HttpServerResponse.HttpServerResponse): boolean => headers[header] === "no"

/** Shorter than the time after which proxies close an idle connection. */
const keepAliveInterval = "15 seconds"

const utf8 = new TextEncoder()

/** Adds a text while nothing else comes. */
const withKeepAlive = <E>(text: Stream.Stream<string, E>, keepAlive: string): Stream.Stream<string, E> =>
  Stream.merge(text, Stream.as(Stream.fromSchedule(Schedule.spaced(keepAliveInterval)), keepAlive), {
    haltStrategy: "left"
  })

/**
 * A response whose texts are sent as they come. The texts end with the connection; nothing of the request's context is there
 * when they run.
 *
 * @internal
 */
export const toResponse = (options: {
  readonly contentType: string
  readonly text: Stream.Stream<string>
  /** what is sent while nothing happens, which readers ignore */
  readonly keepAlive: string
  readonly headers?: { readonly [name: string]: string } | undefined
}): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.stream(
    // the head of a response leaves with the first part of its body
    Stream.concat(Stream.succeed(options.keepAlive), withKeepAlive(options.text, options.keepAlive)).pipe(
      Stream.map((text) => utf8.encode(text))
    ),
    { contentType: options.contentType, headers: { ...options.headers, "cache-control": "no-store", [header]: "no" } }
  )
