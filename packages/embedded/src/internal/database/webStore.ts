/** The store on platforms without SQLite: in memory. */
import * as Store from "@effect-tinker/server/Store"
import * as Effect from "effect/Effect"
import type { CopyDatabase, MakeStore } from "./makeStore.ts"

/** @internal */
export const layer: MakeStore = () => Store.layerMemory

/** @internal */
export const copyDatabase: CopyDatabase = () => Effect.void
