/** The store on platforms without SQLite: in memory. */
import * as Store from "@effect-tinker/server/Store"
import type { MakeStore } from "./makeStore.ts"

/** @internal */
export const layer: MakeStore = () => Store.layerMemory
