/** Transactions on the database that holds the files of a page. */
import type { PlatformError } from "@effect/platform/Error"
import { SystemError, type SystemErrorReason } from "@effect/platform/Error"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Names of paths: directories, and files with the number of their content. @internal */
export const entries = "entries"
/** The size and time of each content, by number. @internal */
export const contents = "contents"
/** The bytes of contents in pieces, by number and index. @internal */
export const pieces = "pieces"

const version = 1

/** What a body throws to fail with an error of its own. @internal */
export class Fault {
  readonly reason: SystemErrorReason
  readonly description: string
  constructor(reason: SystemErrorReason, description: string) {
    this.reason = reason
    this.description = description
  }
}

/** The result of a request of IndexedDB. @internal */
export const resultOf = <A>(request: IDBRequest<A>): Promise<A> =>
  new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result))
    request.addEventListener("error", () => reject(request.error ?? new Error("a request of IndexedDB failed")))
  })

/** What an operation does, and on which path, for its error. @internal */
export interface Operation {
  readonly method: string
  readonly path: string
}

const nameOf = (cause: unknown): string => (cause instanceof Error || cause instanceof DOMException ? cause.name : "")

const describe = (cause: unknown): readonly [SystemErrorReason, string] => {
  if (cause instanceof Fault) return [cause.reason, cause.description]
  switch (nameOf(cause)) {
    case "QuotaExceededError":
      return ["WriteZero", "the browser has no more room for this page: remove data of it, or free space on the disk"]
    case "InvalidStateError":
      return ["BadResource", "the browser has closed the page's database: load the page again"]
    default:
      return ["Unknown", cause instanceof Error ? cause.message : String(cause)]
  }
}

const toError = ({ method, path }: Operation, cause: unknown): PlatformError => {
  const [reason, description] = describe(cause)
  return new SystemError({ module: "FileSystem", method, reason, description, pathOrDescriptor: path, cause })
}

/** The database of files. @internal */
export interface Database {
  /**
   * Runs a body in one transaction: all that it writes is there and durable when the effect succeeds, and nothing of it
   * when it fails or is interrupted. The body may await nothing but requests of the transaction.
   */
  readonly run: <A>(
    mode: "readonly" | "readwrite",
    operation: Operation,
    body: (transaction: IDBTransaction) => Promise<A>
  ) => Effect.Effect<A, PlatformError>
}

const abort = (transaction: IDBTransaction): void => {
  try {
    transaction.abort()
  } catch {
    // it has ended already
  }
}

const transact = <A>(
  database: IDBDatabase,
  mode: "readonly" | "readwrite",
  operation: Operation,
  body: (transaction: IDBTransaction) => Promise<A>
): Effect.Effect<A, PlatformError> =>
  Effect.async((resume) => {
    const fail = (cause: unknown) => resume(Effect.fail(toError(operation, cause)))
    let transaction: IDBTransaction
    try {
      transaction = database.transaction([entries, contents, pieces], mode, { durability: "strict" })
    } catch (cause) {
      return fail(cause)
    }
    let outcome: { readonly value: A } | undefined
    let fault: unknown
    transaction.addEventListener("complete", () => {
      if (outcome !== undefined) resume(Effect.succeed(outcome.value))
    })
    transaction.addEventListener("abort", () => fail(fault ?? transaction.error ?? new Error("it was interrupted")))
    body(transaction).then(
      (value) => {
        outcome = { value }
      },
      (cause: unknown) => {
        fault = cause
        abort(transaction)
      }
    )
    return Effect.sync(() => abort(transaction))
  })

const openDatabase = (name: string): Promise<IDBDatabase> => {
  const request = indexedDB.open(name, version)
  request.addEventListener("upgradeneeded", () => {
    request.result.createObjectStore(entries)
    request.result.createObjectStore(contents, { autoIncrement: true })
    request.result.createObjectStore(pieces)
  })
  return resultOf(request)
}

/** Opens the database, which is made if it is not there. It closes with the scope. @internal */
export const open = (name: string): Effect.Effect<Database, PlatformError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => openDatabase(name),
      catch: (cause) => toError({ method: "open", path: name }, cause)
    }),
    (database) => Effect.sync(() => database.close())
  ).pipe(
    Effect.tap((database) => Effect.sync(() => database.addEventListener("versionchange", () => database.close()))),
    Effect.map((database) => ({ run: (mode, operation, body) => transact(database, mode, operation, body) }))
  )
