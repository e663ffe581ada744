// Where the sources run as they are, the thread needs a loader for them. What was built starts with worker.js.
import { register } from "tsx/esm/api"

register()
await import("./nodeWorker.ts")
