/** A client of the Hugging Face hub. Its errors say what to do, and never contain the token. */
import * as Hub from "@effect-tinker/tokenizers/Hub"
import type * as hub from "@huggingface/hub"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Environment } from "../definition/global.ts"
import { CliError } from "../errors/cliError.ts"
import * as Io from "../terminal/io.ts"

type Library = typeof hub

/** The parameters that every function of the library takes. @internal */
export interface Access {
  readonly accessToken: string
  readonly hubUrl: string
  readonly fetch: typeof fetch
}

/** @internal */
export interface Client {
  readonly library: Library
  readonly endpoint: string
  readonly token: string
}

const loginHint = "Set HF_TOKEN to a token with write access, or run 'hf auth login'"

/** Loads the library, and the token from the environment. @internal */
export const make: Effect.Effect<Client, CliError, Environment> = Effect.gen(function* () {
  const { endpoint = "https://huggingface.co", token } = yield* Effect.mapError(
    Hub.fromConfig(),
    (cause) => new CliError({ title: "Configuration error", details: String(cause), cause })
  )
  if (token === undefined) {
    return yield* new CliError({ title: "Not logged in to Hugging Face", details: loginHint })
  }
  const secret = Redacted.value(token)
  yield* Effect.flatMap(Io.Io, ({ redact }) => redact(secret))
  if (!secret.startsWith("hf_")) {
    return yield* new CliError({
      title: "HF_TOKEN is not a Hugging Face token: these start with hf_",
      details: loginHint
    })
  }
  const library = yield* Effect.promise(() => import("@huggingface/hub"))
  return { library, endpoint, token: secret }
})

const toCliError = ({ endpoint, library }: Client, cause: unknown): CliError => {
  if (!(cause instanceof library.HubApiError)) {
    const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
    return new CliError({
      title: `${endpoint} cannot be reached`,
      details: `${inner instanceof Error ? inner.message : String(inner)}. Check HF_ENDPOINT and the network`,
      cause
    })
  }
  const { message, requestId, statusCode } = cause
  const details = `${message}${requestId === undefined || message.includes(requestId) ? "" : ` (request ${requestId})`}`
  if (statusCode === 401)
    return new CliError({ title: "Not logged in to Hugging Face", details: `${loginHint}: ${details}` })
  if (statusCode === 403) {
    return new CliError({
      title: "Permission denied by Hugging Face",
      details: `The token has no write access there. ${loginHint}: ${details}`
    })
  }
  return new CliError({ title: `Hugging Face responded with status ${statusCode}`, details, cause })
}

const accessOf = ({ endpoint, token }: Client, signal: AbortSignal): Access => ({
  accessToken: token,
  hubUrl: endpoint,
  fetch: (input, init) => fetch(input, { ...init, signal })
})

/** Calls the library. Interruption aborts the requests. @internal */
export const call = <A>(
  client: Client,
  f: (library: Library, access: Access) => Promise<A>
): Effect.Effect<A, CliError> =>
  Effect.tryPromise({
    try: (signal) => f(client.library, accessOf(client, signal)),
    catch: (cause) => toCliError(client, cause)
  })

/** Drives a generator of the library to its result, and reports each event. @internal */
export const drain = <Event, A, E, R>(
  client: Client,
  open: (library: Library, access: Access, signal: AbortSignal) => AsyncGenerator<Event, A>,
  onEvent: (event: Event) => Effect.Effect<void, E, R>
): Effect.Effect<A, CliError | E, R> =>
  Effect.scoped(
    Effect.gen(function* () {
      const signal = yield* scopedSignal
      const events = open(client.library, accessOf(client, signal), signal)
      for (;;) {
        const next = yield* Effect.tryPromise({
          try: () => events.next(),
          catch: (cause) => toCliError(client, cause)
        })
        if (next.done === true) return next.value
        yield* onEvent(next.value)
      }
    })
  )

/** A signal that aborts when the scope closes. */
const scopedSignal: Effect.Effect<AbortSignal, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => new AbortController()),
    (controller) => Effect.sync(() => controller.abort())
  ),
  ({ signal }) => signal
)
