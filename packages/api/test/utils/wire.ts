/** The recorded traffic of the official client, and its protobuf schema. */
import type * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"

/** A recorded body. */
export interface Body {
  readonly json?: unknown
  readonly base64?: string
}

/** A request of the official client, the response, and the value that the client decoded it to. */
export interface Exchange {
  readonly name: string
  readonly request: Body & {
    readonly method: string
    readonly path: string
    readonly query?: { readonly [name: string]: string }
    readonly headers: { readonly [name: string]: string }
  }
  readonly response: Body & { readonly status: number }
  readonly value?: unknown
}

const load = (file: string): unknown =>
  JSON.parse(readFileSync(new URL(`../fixtures/wire/${file}.json`, import.meta.url), "utf8"))

export const exchanges: ReadonlyArray<Exchange> = ["session", "training", "sampling", "rest"].flatMap(
  (file) => (load(file) as { readonly exchanges: ReadonlyArray<Exchange> }).exchanges
)

/** The exchange of that name; the names are those in interop/scenarios.py. */
export const exchange = (name: string): Exchange => {
  const found = exchanges.find((exchange) => exchange.name === name)
  if (found === undefined) throw new Error(`no fixture is called ${name}`)
  return found
}

export interface RecordedField {
  readonly number: number
  readonly type: string
  readonly repeated: boolean
  readonly oneof: string | null
}

export interface RecordedMessage {
  readonly fields: { readonly [name: string]: RecordedField }
  readonly nested: { readonly [name: string]: RecordedMessage }
}

/** The protobuf schema of the official client. */
export const schema = load("schema") as {
  readonly package: string
  readonly messages: { readonly [name: string]: RecordedMessage }
  readonly enums: { readonly [name: string]: { readonly [name: string]: number } }
}

export const bytes = (body: Body): Uint8Array => new Uint8Array(Buffer.from(body.base64!, "base64"))

export type AnySchema = Schema.Schema.AnyNoContext
