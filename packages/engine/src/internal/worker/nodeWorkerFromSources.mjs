/** The entry point of the thread where the sources are not compiled: registers a TypeScript loader. */
import { register } from "tsx/esm/api"

register()
await import("./nodeWorker.ts")
