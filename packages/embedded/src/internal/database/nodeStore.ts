/** The store on Node, Bun and Deno: SQLite, or in memory where its binary is not installed. */
import * as Store from "@effect-tinker/server/Store"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { MakeStore } from "./makeStore.ts"

/** @internal */
export const layer: MakeStore = (directory) =>
  Layer.unwrapEffect(
    Effect.tryPromise(() => import("./sqliteStore.ts")).pipe(
      Effect.map((sqlite) => sqlite.layer(directory)),
      Effect.catchAll(({ cause }) =>
        Effect.as(
          Effect.logWarning(
            "SQLite is not installed for this platform: sessions, runs, usage and the audit log are kept in memory, and " +
              `end with this process. Checkpoints are stored. Use ${directory} in one process at a time`,
            cause
          ),
          Store.layerMemory
        )
      )
    )
  )
